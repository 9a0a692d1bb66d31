import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checker } from '../crash/checker.js';
import { type Case, judge } from './judge.js';

export interface Failure {
  readonly one: Case;
  readonly wrong: readonly string[];
}

/** Several checkers side by side, each with a folder of its own. */
export class Checking {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatebook-states-'));
  readonly #checkers: Checker[];
  checked = 0;

  constructor(count: number) {
    this.#checkers = Array.from({ length: count }, () => new Checker());
  }

  /** Checks the cases and returns those that failed; ends early when there are `most` of them. */
  async run(cases: Iterable<Case>, most: number): Promise<Failure[]> {
    const failures: Failure[] = [];
    const iterator = cases[Symbol.iterator]();
    const work = async (checker: Checker, at: number): Promise<void> => {
      while (failures.length < most) {
        const next = iterator.next();
        if (next.done === true) return;
        this.checked++;
        const wrong = await judge(next.value, checker, join(this.#folder, String(at)));
        if (wrong.length > 0) failures.push({ one: next.value, wrong });
      }
    };
    await Promise.all(this.#checkers.map(work));
    return failures;
  }

  async end(): Promise<void> {
    await Promise.all(this.#checkers.map((checker) => checker.end()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Failures by what is wrong, with numbers taken out: one line for each kind, and how often. */
export function summary(failures: readonly Failure[]): string[] {
  const counts = new Map<string, { count: number; example: string }>();
  for (const { wrong } of failures) {
    const text = wrong.join('; ');
    const kind = text.replace(/\/tmp\/[^\s:]*/g, '…').replace(/\d+/g, 'N');
    const entry = counts.get(kind) ?? { count: 0, example: text };
    counts.set(kind, { ...entry, count: entry.count + 1 });
  }
  return [...counts.values()].map(({ count, example }) => `${count}×: ${example}`);
}
