import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Attack, Verdict } from './attack.js';
import { WorkFolder } from './folder.js';
import { judge } from './judge.js';
import { askGatebook, SecondVerifier } from './verifiers.js';

interface Lane {
  readonly work: WorkFolder;
  readonly second: SecondVerifier;
}

/** Runs attacks past both verifiers, a few at once, each lane in a working copy of its own. */
export class Gauntlet {
  readonly #lanes: readonly Lane[];
  readonly #verdicts = new Map<Verdict, number>();
  #count = 0;
  #wrong = 0;

  private constructor(lanes: readonly Lane[]) {
    this.#lanes = lanes;
  }

  static async open(dir: string, lanes = 2): Promise<Gauntlet> {
    const made = Array.from({ length: lanes }, async (_, i): Promise<Lane> => {
      const path = join(dir, `lane-${i}`, 'log');
      await mkdir(path, { recursive: true });
      return { work: new WorkFolder(path), second: new SecondVerifier() };
    });
    return new Gauntlet(await Promise.all(made));
  }

  /** What either verifier got wrong, in words. */
  async run(attacks: readonly Attack[]): Promise<string[]> {
    const wrong: string[] = [];
    let next = 0;
    const work = async (lane: Lane): Promise<void> => {
      for (let attack = attacks[next++]; attack !== undefined; attack = attacks[next++]) {
        wrong.push(...(await this.#runOne(lane, attack)));
      }
    };
    await Promise.all(this.#lanes.map(work));
    this.#count += attacks.length;
    this.#wrong += wrong.length;
    return wrong;
  }

  async #runOne({ work, second }: Lane, attack: Attack): Promise<string[]> {
    const { verdict } = attack.expected;
    this.#verdicts.set(verdict, (this.#verdicts.get(verdict) ?? 0) + 1);
    try {
      await work.become(attack.folder());
      await attack.disturb?.(work.dir);
      const [ours, theirs] = await Promise.all([
        askGatebook(work.dir, attack.brought),
        second.ask(work.dir, attack.brought),
      ]);
      return [...judge(attack, 'gatebook', ours), ...judge(attack, 'verify.py', theirs)];
    } finally {
      if (attack.disturb !== undefined) await work.clear();
    }
  }

  get count(): number {
    return this.#count;
  }

  summary(): string {
    const verdicts = [...this.#verdicts].sort().map(([verdict, count]) => `${verdict} ${count}`);
    return `${this.#count} mutations (expected: ${verdicts.join(', ')}), ${this.#wrong} wrong answers of two verifiers`;
  }

  close(): void {
    for (const { second } of this.#lanes) second.close();
  }
}

/** Two attacks of one name would hide each other in a report. */
export function checkNames(attacks: readonly Attack[]): void {
  const names = new Set<string>();
  for (const attack of attacks) {
    if (names.has(attack.name)) throw new Error(`two attacks are called ${attack.name}`);
    names.add(attack.name);
  }
}
