import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ArchiveFault } from './archive-file.js';
import { hashMemberBytes } from './chain.js';
import { ContentReader } from './content-reader.js';
import { originOfLog } from './erasure-survey.js';
import { LineFile } from './line-file.js';
import { findLine } from './reader.js';
import type { FindEntry, Found } from './relay-messages.js';
import { listSegments } from './segment.js';

/** So many records behind the last one a client saw are searched for what it had in flight. */
export const searchRecordsMax = 100_000;
/** Lines looked at before others get their turn. */
const sliceLines = 500;

/**
 * Looks in the log `dir` for records that a client had in flight when its writer went away: only behind `after`, and in
 * at most 100,000 records. Of each entry: the seq of the first record with its emitter, id and digest; `conflict` when
 * the first with its emitter and id has another digest; `absent`; or `unknown` when the search ended before the log
 * did. Everything that the client's last writer wrote must be on disk.
 */
export async function findRecords(
  { dir, keysDir }: { readonly dir: string; readonly keysDir: string },
  after: number,
  entries: readonly FindEntry[],
): Promise<Found[]> {
  const wanted = new Map<string, number[]>();
  entries.forEach(([id], at) => {
    const places = wanted.get(id);
    if (places === undefined) wanted.set(id, [at]);
    else places.push(at);
  });
  const found: Found[] = entries.map(() => 'absent');
  let reader: ContentReader | undefined;
  const original: Original = (record, firstSeq, plain) => {
    reader ??= new ContentReader({ dir, keysDir, origin: originOfLog(dir) });
    return reader.originalDigest(record, firstSeq, plain);
  };
  const whole = await search(dir, after, (line, seq, id, firstSeq) => {
    for (const at of wanted.get(id) ?? []) {
      if (found[at] !== 'absent') continue;
      found[at] = compare(line(), entries[at]!, { seq, firstSeq }, original);
    }
  });
  return whole ? found : found.map((one) => (one === 'absent' ? 'unknown' : one));
}

type OnLine = (line: () => Buffer, seq: number, id: string, firstSeq: number) => void;
/** The digest of the body that a record was handed in with, where the writer has changed it. */
type Original = (
  record: object,
  firstSeq: number,
  plain: (userId: string) => string,
) => string | undefined;

/** Goes through the records behind `after`; false when there are more than may be searched, or a part of them is gone. */
async function search(dir: string, after: number, onLine: OnLine): Promise<boolean> {
  try {
    return await searchLines(dir, after, onLine);
  } catch (error) {
    if (error instanceof ArchiveFault) return false;
    throw error;
  }
}

async function searchLines(dir: string, after: number, onLine: OnLine): Promise<boolean> {
  const start = findLine(dir, after + 1);
  const segments = listSegments(dir);
  if (start === undefined) return endsAt(dir, after);
  let left = searchRecordsMax;
  let expected = start.seq;
  const first = segments.findIndex((segment) => segment.name === start.segment);
  for (const segment of segments.slice(first)) {
    const lines = new LineFile(segment.path, segment.name === start.segment ? start.offset : 0);
    try {
      while (lines.next()) {
        if (left-- === 0) return false;
        if (left % sliceLines === 0) await nextTurn();
        const { buf, start: from, end } = lines;
        const seq = seqOf(buf, from);
        if (seq !== expected) return false;
        expected++;
        onLine(() => buf.subarray(from, end), seq, eventIdOf(buf, from), segment.firstSeq);
      }
    } finally {
      lines.close();
    }
  }
  return true;
}

/** Whether `after` is the newest record, so that there is nothing to search. */
function endsAt(dir: string, after: number): boolean {
  return after < 0 ? listSegments(dir).length === 0 : findLine(dir, after) !== undefined;
}

function seqOf(buf: Buffer, start: number): number {
  return Number.parseInt(buf.toString('latin1', start + 7, start + 24), 10);
}

/** Lines begin with seq, timestamp and event_id, the latter two of fixed length. */
function eventIdOf(buf: Buffer, start: number): string {
  const at = bodyStart(buf, start) + '"timestamp":"2026-01-02T03:04:05.678Z","event_id":"'.length;
  return buf.toString('latin1', at, at + 40);
}

function bodyStart(buf: Buffer, start: number): number {
  return buf.indexOf(0x2c, start) + 1;
}

function compare(
  line: Buffer,
  [, digest, emitter]: FindEntry,
  { seq, firstSeq }: { readonly seq: number; readonly firstSeq: number },
  original: Original,
): Found {
  const from = bodyStart(line, 0);
  const prevHashBytes = ',"prev_hash":""'.length + 64;
  const to = line.lastIndexOf(0x2c, line.length - hashMemberBytes - prevHashBytes - 1);
  const body = line.subarray(from, to);
  const record = parseBody(body);
  if (record.emitter !== emitter) return 'absent';
  if (digestOf(body) === digest) return seq;
  if (!isChanged(body)) return 'conflict';
  const handedIn = original(record, firstSeq, (userId) => digestOf(withUser(record, userId)));
  if (handedIn === undefined) return 'unknown';
  return handedIn === digest ? seq : 'conflict';
}

/** Whether a body has marks of what the writer puts in the place of something else. */
function isChanged(body: Buffer): boolean {
  return body.includes('"psn_') || body.includes('"ref":"cnt_');
}

function withUser(record: BodyMembers, userId: string): Buffer {
  const plain = { ...record, actor: { ...record.actor, user_id: userId } };
  return Buffer.from(JSON.stringify(plain).slice(1, -1));
}

/** Hex SHA-256 of a body. */
export function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

/** What a client must say to have a body looked for. */
export function entryOf(body: Buffer): FindEntry {
  const { event_id: id, emitter } = parseBody(body);
  return [id, digestOf(body), emitter];
}

interface BodyMembers {
  readonly event_id: string;
  readonly emitter: string;
  readonly actor?: object;
}

function parseBody(body: Buffer): BodyMembers {
  return JSON.parse(`{${body.toString('utf8')}}`) as BodyMembers;
}
