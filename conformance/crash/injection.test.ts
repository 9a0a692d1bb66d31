import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureStrace } from '../power-loss/recording.js';
import { promisedBy } from './book.js';
import { Checker } from './checker.js';
import { inspect } from './inspection.js';
import { type Folders, loadCommand, makeFolders, removeFolders, startLoad } from './load.js';
import { full, tracedEnvironment } from './programs.js';
import { newSeed, randomFrom } from './random.js';

/** A full disk, a bad disk, a sync that fails: the caller hears of it, and nothing acknowledged is lost. */

const seed = newSeed();
const random = randomFrom(seed);
const rounds = full ? 12 : 1;
const hour = 3_600_000;
const appends = ['--records', '60', '--in-flight', '3', '--pause-ms', '1'];
const load = [
  ...appends,
  ...['--segment-bytes', '8192', '--epoch-ms', '40', '--checkpoint-ms', '15'],
];
/** Once it is open, this log syncs its lines for appends alone: it writes no record of its own but the last. */
const quietLoad = [...appends, '--epoch-ms', '60000', '--checkpoint-ms', '3600000'];

let checker: Checker;
let fired = 0;
let refusedInAll = 0;

beforeAll(() => {
  ensureStrace();
  checker = new Checker();
  console.log(`injection: seed ${seed} (GATEBOOK_SEED=${seed} gives the same choice)`);
}, 300_000);

afterAll(async () => {
  console.log(`injection: ${fired} errors really injected, ${refusedInAll} appends refused`);
  await checker.end();
});

/** Runs the load with one injected error; gives what it said and how often the error was really given. */
async function runWith(
  folders: Folders,
  injection: string,
  args: readonly string[],
): Promise<{ said: string[]; fired: number; errors: string }> {
  const trace = join(folders.root, 'trace');
  const call = injection.split(':')[0]!;
  const strace = ['strace', '-f', '-qq', '-e', 'signal=none', '-e', `trace=${call}`];
  const run = startLoad(
    [...strace, '-e', `inject=${injection}`, '-o', trace, ...loadCommand(folders, args)],
    tracedEnvironment,
  );
  await run.ended;
  const count = readFileSync(trace, 'latin1').split('(INJECTED)').length - 1;
  fired += count;
  return { said: run.lines, fired: count, errors: run.errors() };
}

/** What must hold after every such run, however it ended. */
async function expectUnharmed(
  folders: Folders,
  said: readonly string[],
  what: string,
): Promise<void> {
  const { acknowledged, refused } = promisedBy(said);
  refusedInAll += refused.size;
  // An opening that fails says so; a run that opened the log answers for every event.
  const answered = acknowledged.size + refused.size > 0 || said[0]?.startsWith('failed ') === true;
  expect(answered, `${what}: ${said.slice(0, 3)}`).toBe(true);
  const { before } = await checker.check(folders.log, folders.keys, false);
  expect(before.public.unfinishedBytes, `${what}: half a line stays`).toBe(0);
  expect(await inspect(folders, said, checker), what).toEqual([]);
}

interface Fault {
  readonly call: string;
  readonly error: string;
  /** The first such call on the way, and the last that is tried. */
  readonly from: number;
  readonly to: number;
  /** Whether an append must be refused: under the quiet load such a call is only made for one. */
  readonly refuses: boolean;
}

// The log's opening makes some of these calls before `from`; what fails then is the opening, which says so.
const faults: readonly Fault[] = [
  { call: 'fdatasync', error: 'EIO', from: 3, to: 20, refuses: true },
  { call: 'fdatasync', error: 'ENOSPC', from: 3, to: 20, refuses: true },
  { call: 'pwrite64', error: 'ENOSPC', from: 14, to: 40, refuses: false },
  { call: 'pwrite64', error: 'EIO', from: 14, to: 40, refuses: false },
  { call: 'fsync', error: 'EIO', from: 24, to: 60, refuses: false },
  { call: 'rename', error: 'ENOSPC', from: 9, to: 20, refuses: false },
  { call: 'unlink', error: 'EIO', from: 1, to: 6, refuses: false },
];

describe('one call fails', () => {
  test.each(faults)(
    '$call with $error',
    async ({ call, error, from, to, refuses }) => {
      for (let round = 0; round < rounds; round++) {
        const folders = makeFolders();
        const injection = `${call}:error=${error}:when=${from + random.int(to - from)}`;
        try {
          const run = await runWith(folders, injection, refuses ? quietLoad : load);
          // strace counts for each thread, and two make file calls: the one that writes and the one that lets others in.
          expect([1, 2], `${injection} ${run.errors}`).toContain(run.fired);
          const { refused } = promisedBy(run.said);
          if (refuses) expect(refused.size, injection).toBeGreaterThan(0);
          for (const code of refused.values()) expect(code).toMatch(/^(write|log)_failed$/);
          await expectUnharmed(folders, run.said, injection);
        } finally {
          removeFolders(folders);
        }
      }
    },
    hour,
  );

  test('a single failed sync is got over: later appends succeed', async () => {
    const folders = makeFolders();
    try {
      const { said } = await runWith(folders, 'fdatasync:error=EIO:when=6', quietLoad);
      const firstRefusal = said.findIndex((line) => / refused write_failed /.test(line));
      expect(firstRefusal, said.join('\n')).toBeGreaterThan(0);
      const later = promisedBy(said.slice(firstRefusal)).acknowledged;
      expect(later.size).toBeGreaterThan(10);
      expect(said.at(-1)).toBe('closed');
      await expectUnharmed(folders, said, 'one failed sync');
    } finally {
      removeFolders(folders);
    }
  });
});

describe('every call fails from some time on', () => {
  test.each(faults)(
    '$call with $error',
    async ({ call, error, from, to }) => {
      const folders = makeFolders();
      const injection = `${call}:error=${error}:when=${from + random.int(to - from)}+`;
      try {
        const run = await runWith(folders, injection, load);
        expect(run.fired, injection).toBeGreaterThan(0);
        await expectUnharmed(folders, run.said, injection);
      } finally {
        removeFolders(folders);
      }
    },
    hour,
  );
});

test('a file that may not grow further: half a line was written, and none of it stays', async () => {
  const folders = makeFolders();
  try {
    const limited = ['bash', '-c', 'ulimit -f 64; exec "$@"', 'bash'];
    const args = ['--records', '600', '--in-flight', '16'];
    const run = startLoad([...limited, ...loadCommand(folders, args)]);
    await run.ended;
    const { refused, acknowledged } = promisedBy(run.lines);
    expect(refused.size, run.lines.at(-1)).toBeGreaterThan(0);
    expect(acknowledged.size).toBeGreaterThan(400);
    expect(run.lines.at(-1)).toBe('closed');
    await expectUnharmed(folders, run.lines, 'ulimit -f');
  } finally {
    removeFolders(folders);
  }
});
