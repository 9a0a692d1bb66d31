import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BookRecord,
  promisedBy,
  readRecords,
  recordsOf,
  segmentsOf,
  wrongAnswer,
  wrongFiles,
  wrongKeys,
  wrongRecords,
} from '../crash/book.js';
import type { Answer, Checker } from '../crash/checker.js';
import type { DiskState } from './states.js';
import { writeTree } from './tree.js';

/** Where the two folders lie in a traced folder: each in a parent of its own that must be made too. */
export const places = { log: 'data/log', keys: 'vault/keys' } as const;

/** A state and what the program had said when it could have come about. */
export interface Case {
  readonly state: DiskState;
  readonly said: readonly string[];
  /** Key files that must be gone by then, bytes and all. */
  readonly gone: readonly string[];
}

/** Puts a state on a real disk, lets a checker open it, and says everything that is wrong with it. */
export async function judge(one: Case, checker: Checker, folder: string): Promise<string[]> {
  const log = join(folder, places.log);
  const keys = join(folder, places.keys);
  writeTree(folder, one.state.tree);
  try {
    const recordsBefore = recordsOf(segmentsIn(one.state));
    const wrong = [...keysLeft(one.state, recordsBefore), ...erasedLeft(one)];
    const answer = await checker.check(log, keys);
    wrong.push(...wrongAnswer(answer, recordsBefore.length));
    if (answer.error !== undefined) return wrong;
    const records = readRecords(log);
    wrong.push(...wrongRecords(records, promisedBy(one.said)));
    wrong.push(...wrongFiles(log, records), ...wrongKeys(keys, records));
    wrong.push(...notRecorded(records, recordsBefore, answer), ...contentLeft(log, records));
    return wrong;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function segmentsIn(state: DiskState): Buffer[] {
  const folder = `${places.log}/segments/`;
  const names = [...state.tree.keys()].filter((path) => path.startsWith(folder));
  return segmentsOf(
    names.map((path) => path.slice(folder.length)),
    (name) => state.tree.get(`${folder}${name}`) ?? Buffer.alloc(0),
  );
}

/** Once a record of an epoch is on disk, the keys of the epochs before must be gone, from their blocks too. */
function keysLeft(state: DiskState, records: readonly BookRecord[]): string[] {
  const newest = records.at(-1);
  const origin = records[0]?.details?.['origin'];
  if (newest === undefined) return [];
  const left: string[] = [];
  const old = (path: string): boolean =>
    Number(/epoch-(\d+)\.key/.exec(path)?.[1] ?? Number.POSITIVE_INFINITY) < newest.epoch;
  for (const path of state.tree.keys()) {
    if (old(path)) left.push(`${path} is still there in epoch ${newest.epoch}`);
  }
  for (const { path, bytes } of state.nameless) {
    if (old(path) && bytes.toString('latin1').startsWith(`${origin}+`))
      left.push(`the blocks of ${path} still hold its key in epoch ${newest.epoch}`);
  }
  return left;
}

function erasedLeft({ state, gone }: Case): string[] {
  const left = gone.filter((path) => state.tree.has(path));
  const blocks = state.nameless.filter(
    ({ path, bytes }) => gone.includes(path) && bytes.some((byte) => byte !== 0),
  );
  return [
    ...left.map((path) => `${path} is still there after it was done with`),
    ...blocks.map(({ path }) => `the blocks of ${path} still hold its key after it was done with`),
  ];
}

/** Whoever the book calls erased has no content in the log. */
function contentLeft(log: string, records: readonly BookRecord[]): string[] {
  const folder = join(log, 'content');
  const files = existsSync(folder) ? readdirSync(folder) : [];
  const erased = records.flatMap(({ event_type, details }) =>
    event_type === 'log.erased' ? ((details?.['subjects'] ?? []) as string[]) : [],
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    return erased
      .filter((subject) => text.includes(`"subject":"${subject}"`))
      .map((subject) => `content/${file} still has content of ${subject}`);
  });
}

/** An opening after a crash says so in the book, and counts what it set aside. */
function notRecorded(
  records: readonly BookRecord[],
  before: readonly BookRecord[],
  answer: Answer,
): string[] {
  const last = before.at(-1);
  const torn = answer.before.public.unfinishedBytes ?? 0;
  const recovered = records.filter(
    ({ event_type, seq }) => event_type === 'log.recovered' && seq > (last?.seq ?? -1),
  );
  if (last !== undefined && last.event_type !== 'log.closed' && recovered.length === 0)
    return ['the recovery is not recorded'];
  const counted = recovered.some(({ details }) => details?.['torn_bytes'] === torn);
  return torn === 0 || counted ? [] : [`an unfinished write of ${torn} bytes is not counted`];
}
