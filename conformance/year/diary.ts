import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, linesOf, type Ran } from '../cli/gatebook.js';
import type { Calendar } from './calendar.js';

/** What `audit verify --json` says, as far as it is looked at here. */
export interface Report {
  readonly verdict: string;
  readonly level: string;
  readonly records: number;
  readonly size: number;
  readonly pending: number;
  readonly pruned: readonly {
    readonly range: readonly [number, number];
    readonly reason: string;
  }[];
  readonly findings: readonly {
    readonly seq?: number;
    readonly range?: readonly [number, number];
    readonly segment?: string;
  }[];
}

/** A log that is used once a day: a session of some events, then a pruning. */
export class Diary {
  readonly bench: Bench;
  readonly calendar: Calendar;
  /** The seq of each day's first event. */
  readonly firstSeqs: number[] = [];
  #events = 0;

  constructor(bench: Bench, calendar: Calendar) {
    this.bench = bench;
    this.calendar = calendar;
  }

  async run(args: readonly string[], input = ''): Promise<Ran> {
    return await this.bench.run(args, { input, env: this.calendar.env() });
  }

  async must(args: readonly string[], input = ''): Promise<Ran> {
    const ran = await this.run(args, input);
    if (ran.code !== 0)
      throw new Error(
        `${args.join(' ')}: exit ${ran.code}: ${ran.stderr}${ran.stdout.slice(0, 500)}`,
      );
    return ran;
  }

  /** The day's events; throws unless each of them was acknowledged. */
  async record(count: number, options: readonly string[]): Promise<void> {
    const events = Array.from({ length: count }, () => this.#event());
    const ran = await this.must(['record', ...options], events.join(''));
    const lines = linesOf(ran.stdout);
    if (lines.length !== count) throw new Error(`${lines.length} of ${count} were acknowledged`);
    this.firstSeqs.push((JSON.parse(lines[0]!) as { seq: number }).seq);
  }

  #event(): string {
    const i = this.#events++;
    return `${JSON.stringify({
      event_type: 'tool_execution',
      actor: { user_id: `user-${i % 23}`, channel: 'cli' },
      session_id: `session-${i >> 6}`,
      action: { tool: `tool-${i % 11}`, risk_level: i % 50 === 0 ? 'high' : 'low', allowed: true },
      result: { success: i % 9 !== 0, duration_ms: i % 700 },
    })}\n`;
  }

  /** A verdict, and the seconds it took. */
  async verify(
    flags: readonly string[],
  ): Promise<{ report: Report; code: number; seconds: number }> {
    const begin = performance.now();
    const ran = await this.run(['audit', 'verify', '--json', ...flags]);
    const seconds = (performance.now() - begin) / 1_000;
    if (ran.stdout === '') throw new Error(`audit verify: exit ${ran.code}: ${ran.stderr}`);
    return { report: JSON.parse(ran.stdout) as Report, code: ran.code ?? -1, seconds };
  }

  /** The segment files that are there, oldest first, with the seq they begin at. */
  segments(): { file: string; firstSeq: number }[] {
    const folder = join(this.bench.log, 'segments');
    return readdirSync(folder)
      .filter((name) => /^\d{20}\.jsonl$/.test(name))
      .sort()
      .map((name) => ({ file: join(folder, name), firstSeq: Number(name.slice(0, 20)) }));
  }

  /** Bytes of all files of the log. */
  bytes(): number {
    const names = readdirSync(this.bench.log, { recursive: true, encoding: 'utf8' });
    const sizes = names.map((name) =>
      statSync(join(this.bench.log, name), { throwIfNoEntry: false }),
    );
    return sizes.reduce((sum, stat) => sum + (stat?.isFile() === true ? stat.size : 0), 0);
  }
}

/** Takes a file away while `look` looks. */
export async function without<T>(file: string, look: () => Promise<T>): Promise<T> {
  const aside = `${file}.aside`;
  renameSync(file, aside);
  try {
    return await look();
  } finally {
    renameSync(aside, file);
  }
}

/** Changes a byte in the middle of a file while `look` looks. */
export async function withByteChanged<T>(file: string, look: () => Promise<T>): Promise<T> {
  const bytes = readFileSync(file);
  const changed = Buffer.from(bytes);
  changed[bytes.length >> 1]! ^= 1;
  writeFileSync(file, changed);
  try {
    return await look();
  } finally {
    writeFileSync(file, bytes);
  }
}
