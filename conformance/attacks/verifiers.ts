import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { finished, repository, start } from '../cli/gatebook.js';
import type { Brought } from './attack.js';

/** What a verifier said, in the terms both of them share. */
export interface Answer {
  readonly verdict: string;
  readonly exit: number | null;
  readonly pending?: number;
  readonly finding?: Finding;
  /** What it printed, for the report of a disagreement. */
  readonly text: string;
}

export interface Finding {
  readonly segment?: string | null;
  readonly seq?: number | null;
  readonly offset?: number | null;
  readonly range?: readonly [number, number];
  readonly file?: string;
}

function flagsOf(brought: Brought): string[] {
  return [
    ...(brought.keys ?? []).flatMap((file) => ['--key', file]),
    ...(brought.hmacKey === undefined ? [] : ['--hmac-key', brought.hmacKey]),
    ...(brought.level === undefined ? [] : ['--level', brought.level]),
    ...(brought.held ?? []).flatMap((file) => ['--checkpoint', file]),
    ...(brought.strict ? ['--strict'] : []),
    ...(brought.minRetention === undefined ? [] : ['--min-retention', brought.minRetention]),
  ];
}

const patienceMs = 60_000;
/** A keys folder that is not there: only what is brought counts. */
const noKeys = '/nonexistent/gatebook-keys';

/** `gatebook audit verify`. One that does not end in a minute is ended, and its answer is `hangs`. */
export async function askGatebook(dir: string, brought: Brought): Promise<Answer> {
  const args = ['audit', 'verify', '--json', '--log', dir, '--keys', noKeys, ...flagsOf(brought)];
  const child = start(args);
  child.stdin.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  const { code, stdout, stderr } = await finished(child);
  clearTimeout(timer);
  const text = `${stdout}${stderr}`.trim();
  if (code === null) return { verdict: 'hangs', exit: null, text };
  if (stdout === '') return { verdict: wordlessVerdict(code), exit: code, text };
  const report = JSON.parse(stdout) as {
    verdict: string;
    pending: number;
    findings: readonly Finding[];
  };
  const [finding] = report.findings;
  const { verdict, pending } = report;
  return { verdict, exit: code, pending, text, ...(finding === undefined ? {} : { finding }) };
}

function wordlessVerdict(code: number): string {
  if (code === 2) return 'usage';
  return code === 3 ? 'unverifiable' : 'failed';
}

interface PythonResult {
  readonly verdict: string;
  readonly exit: number;
  readonly pending?: number;
  readonly missing?: readonly (readonly [number, number])[];
  readonly segment?: string | null;
  readonly seq?: number | null;
  readonly offset?: number | null;
}

/** The verifier that was written from docs/format.md alone, kept running: one line asks, one line answers. */
export class SecondVerifier {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly #waiting: ((line: string) => void)[] = [];
  #stderr = '';

  constructor() {
    const script = join(repository, 'conformance', 'verifier', 'verify.py');
    this.#child = spawn('python3', [script, '--batch']);
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = `${this.#stderr}${chunk.toString()}`.slice(-2_000);
    });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on('line', (line) => this.#waiting.shift()?.(line));
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('close', () => this.#end(this.#stderr));
    this.#child.stdin.on('error', () => {});
  }

  /** Whoever waits when the process ends is told so. */
  #end(reason: string): void {
    const verdict = JSON.stringify({ verdict: 'crashed', exit: -1, reason });
    for (const tell of this.#waiting.splice(0)) tell(verdict);
  }

  async ask(dir: string, brought: Brought): Promise<Answer> {
    const line = await new Promise<string>((tell) => {
      if (this.#child.exitCode !== null) {
        tell(JSON.stringify({ verdict: 'crashed', exit: -1, reason: this.#stderr }));
        return;
      }
      this.#waiting.push(tell);
      this.#child.stdin.write(`${JSON.stringify([dir, ...flagsOf(brought)])}\n`);
    });
    const { verdict, exit, pending, missing, segment, seq, offset } = JSON.parse(
      line,
    ) as PythonResult;
    const range = missing?.[0];
    const finding: Finding = {
      ...(segment === undefined ? {} : { segment }),
      ...(seq === undefined ? {} : { seq }),
      ...(offset === undefined ? {} : { offset }),
      ...(range === undefined ? {} : { range: [range[0], range[1]] as const }),
    };
    return { verdict, exit, text: line, finding, ...(pending === undefined ? {} : { pending }) };
  }

  close(): void {
    this.#child.stdin.end();
  }
}
