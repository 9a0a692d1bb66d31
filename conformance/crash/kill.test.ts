import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { promisedBy } from './book.js';
import { Checker } from './checker.js';
import { inspect } from './inspection.js';
import {
  type Folders,
  type Load,
  loadCommand,
  makeFolders,
  removeFolders,
  startLoad,
  startRecord,
} from './load.js';
import { full } from './programs.js';
import { newSeed, randomFrom } from './random.js';

/** kill -9 at random instants: every acknowledged record is there once, the log opens, verify finds nothing wrong. */

const seed = newSeed();
const random = randomFrom(seed);
const killsInAll = full ? 200 : 12;
/** Small segments and short epochs, so that many instants fall into a seal or a key move. */
const busy = ['--segment-bytes', '65536', '--epoch-ms', '150', '--checkpoint-ms', '40'];
const hour = 3_600_000;

let checker: Checker;
let kills = 0;
let acknowledged = 0;

beforeAll(() => {
  checker = new Checker();
  console.log(`crash: seed ${seed} (GATEBOOK_SEED=${seed} gives the same delays)`);
});

afterAll(async () => {
  console.log(`crash: ${kills} processes killed, ${acknowledged} acknowledged records looked for`);
  await checker.end();
});

/** Kills a run `delayMs` after it said a line that begins with `after`, if it has not ended before. */
async function runAndKill(load: Load, after: string, delayMs: number): Promise<string[]> {
  if (after !== '') await load.until((line) => line.startsWith(after));
  await sleep(delayMs);
  if (load.process.exitCode === null && load.process.kill('SIGKILL')) kills++;
  await load.ended;
  return load.lines;
}

function startOne(folders: Folders, args: readonly string[] | 'record', first: number): Load {
  if (args === 'record') return startRecord(folders, first);
  return startLoad(loadCommand(folders, [...args, '--first', String(first)]));
}

interface Way {
  readonly name: string;
  readonly share: number;
  /** Arguments of `write-load`, or the command line's `record` instead. */
  readonly args: readonly string[] | 'record';
  /** The clock starts at a line that begins so; at the start of the process when empty. */
  readonly after: string;
  readonly delayMsMost: number;
}

const ways: readonly Way[] = [
  { name: 'gatebook record', share: 0.1, args: 'record', after: '', delayMsMost: 600 },
  {
    name: '64 in flight',
    share: 0.25,
    args: ['--in-flight', '64', ...busy],
    after: 'opened',
    delayMsMost: 400,
  },
  {
    name: '1,000 in flight',
    share: 0.25,
    args: ['--in-flight', '1000', ...busy],
    after: 'opened',
    delayMsMost: 400,
  },
  {
    name: 'opening',
    share: 0.2,
    args: ['--in-flight', '64', ...busy],
    after: '',
    delayMsMost: 250,
  },
  {
    name: 'sealing',
    share: 0.1,
    args: ['--in-flight', '16', '--segment-bytes', '4096', '--checkpoint-ms', '10'],
    after: 'opened',
    delayMsMost: 200,
  },
  {
    name: 'closing',
    share: 0.1,
    args: ['--in-flight', '8', '--records', '40'],
    after: '39 ',
    delayMsMost: 8,
  },
];

describe('kill -9', () => {
  test.each(ways)(
    '$name',
    async ({ name, share, args, after, delayMsMost }) => {
      let first = 0;
      let folders = makeFolders();
      let said: string[] = [];
      const rounds = Math.round(killsInAll * share);
      try {
        for (let round = 0; round < rounds; round++) {
          // Every few kills a new log, so that first set-ups are killed too.
          if (round % 5 === 0) {
            removeFolders(folders);
            folders = makeFolders();
            said = [];
          }
          const numbered = after === '39 ' ? `${first + 39} ` : after;
          const delayMs = random.float() * delayMsMost;
          const load = startOne(folders, args, first);
          const lines = await runAndKill(load, numbered, delayMs);
          said.push(...lines);
          const wrong = await inspect(folders, said, checker);
          expect(wrong, `${name}, round ${round}, ${delayMs} ms after "${numbered}"`).toEqual([]);
          acknowledged += promisedBy(lines).acknowledged.size;
          first += 1_000_000;
        }
      } finally {
        removeFolders(folders);
      }
    },
    hour,
  );
});
