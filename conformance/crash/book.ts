import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** A log as its files say it is, without any of the code that wrote it. */

export interface BookRecord {
  readonly seq: number;
  readonly event_id: string;
  readonly event_type: string;
  readonly epoch: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Every whole line that is JSON, in order; what is no record (an unfinished write) is left out. */
export function recordsOf(segments: Iterable<Buffer>): BookRecord[] {
  const records: BookRecord[] = [];
  for (const segment of segments) {
    for (const line of segment.toString('utf8').split('\n').slice(0, -1)) {
      try {
        records.push(JSON.parse(line) as BookRecord);
      } catch {
        break;
      }
    }
  }
  return records;
}

export function readRecords(log: string): BookRecord[] {
  const folder = join(log, 'segments');
  if (!existsSync(folder)) return [];
  return recordsOf(segmentsOf(readdirSync(folder), (name) => readFileSync(join(folder, name))));
}

/** The lines of each segment among these names, in order: of the plain file, or where there is none of its archive. */
export function segmentsOf(names: readonly string[], read: (name: string) => Buffer): Buffer[] {
  const segments = new Set(
    names.filter((name) => /^\d{20}\.jsonl(\.gz)?$/.test(name)).map((name) => name.slice(0, 26)),
  );
  return [...segments]
    .sort()
    .map((name) => (names.includes(name) ? read(name) : unzipped(read(`${name}.gz`))));
}

/** What cannot be read of an archive counts as lost. */
function unzipped(archive: Buffer): Buffer {
  try {
    return gunzipSync(archive);
  } catch {
    return Buffer.alloc(0);
  }
}

/** What `write-load` had printed when it, or the machine, was stopped. */
export interface Promised {
  /** By the event's number. */
  readonly acknowledged: ReadonlyMap<number, { readonly seq: number; readonly eventId: string }>;
  readonly refused: ReadonlyMap<number, string>;
  readonly origins: ReadonlySet<string>;
  readonly closed: boolean;
}

export function promisedBy(lines: Iterable<string>): Promised {
  const acknowledged = new Map<number, { seq: number; eventId: string }>();
  const refused = new Map<number, string>();
  const origins = new Set<string>();
  let closed = false;
  for (const line of lines) {
    const [first = '', second = '', third = ''] = line.split(' ');
    if (first === 'opened') origins.add(second);
    closed = first === 'closed';
    if (!/^\d+$/.test(first)) continue;
    if (second === 'refused') refused.set(Number(first), third);
    else acknowledged.set(Number(first), { seq: Number(second), eventId: third });
  }
  return { acknowledged, refused, origins, closed };
}

/** What the newest `log.pruned` says is deleted, as first and last seq. */
function prunedIn(records: readonly BookRecord[]): [number, number][] {
  const newest = records.findLast(({ event_type }) => event_type === 'log.pruned');
  const ranges = (newest?.details?.['ranges'] ?? []) as { first_seq: number; last_seq: number }[];
  return ranges.map(({ first_seq, last_seq }) => [first_seq, last_seq]);
}

/** Every acknowledged event is there once, as it was handed in, or was deleted by the policy; every other one once or not at all. */
export function wrongRecords(records: readonly BookRecord[], promised: Promised): string[] {
  const wrong: string[] = [];
  const byNumber = new Map<number, BookRecord>();
  const pruned = prunedIn(records);
  let expected = 0;
  for (const record of records) {
    const gone = pruned.find(([first]) => first === expected);
    if (gone !== undefined && record.seq !== expected) expected = gone[1] + 1;
    if (record.seq !== expected) wrong.push(`record ${expected} has seq ${record.seq}`);
    expected = record.seq + 1;
  }
  for (const record of records) {
    if (record.event_type !== 'example.load') continue;
    const n = Number(record.details?.['n']);
    if (byNumber.has(n)) wrong.push(`event ${n} is there twice`);
    byNumber.set(n, record);
    if (record.details?.['text'] !== '.'.repeat(n % 97)) wrong.push(`event ${n} is changed`);
  }
  for (const [n, { seq, eventId }] of promised.acknowledged) {
    const record = byNumber.get(n);
    if (record === undefined && pruned.some(([first, last]) => first <= seq && seq <= last))
      continue;
    if (record === undefined) wrong.push(`acknowledged event ${n} is lost`);
    else if (record.seq !== seq || record.event_id !== eventId)
      wrong.push(`acknowledged event ${n} is at ${record.seq}, not at ${seq}`);
  }
  for (const n of promised.refused.keys()) {
    if (byNumber.has(n)) wrong.push(`event ${n} was refused and is in the book`);
  }
  const origins = new Set(promised.origins);
  for (const { event_type, details } of records) {
    if (event_type === 'log.opened') origins.add(String(details?.['origin']));
  }
  if (origins.size > 1) wrong.push(`the log was of ${[...origins].join(' and ')}`);
  return wrong;
}

/** Every sealed segment has its checkpoint, every file set aside its record. */
export function wrongFiles(log: string, records: readonly BookRecord[]): string[] {
  const wrong: string[] = [];
  const last = records.length - 1;
  for (const { event_type, seq } of records) {
    if (event_type !== 'log.sealed' || seq === last) continue;
    const name = String(seq + 1).padStart(20, '0');
    if (!existsSync(join(log, 'checkpoints', name)))
      wrong.push(`the segment sealed at ${seq} has no checkpoints/${name}`);
  }
  const folder = join(log, 'torn');
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    if (file.endsWith('.tmp')) continue;
    const bytes = readFileSync(join(folder, file));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const naming = records.filter(
      ({ event_type, details }) =>
        event_type === 'log.recovered' &&
        details?.['torn_file'] === file &&
        details['torn_bytes'] === bytes.length &&
        details['torn_sha256'] === sha256,
    );
    if (naming.length !== 1) wrong.push(`torn/${file} has ${naming.length} records`);
  }
  return wrong;
}

/** The keys folder holds one key set: all of one origin, and one epoch key, the next record's. */
export function wrongKeys(keys: string, records: readonly BookRecord[]): string[] {
  const read = (name: string): string =>
    existsSync(join(keys, name)) ? readFileSync(join(keys, name), 'utf8') : '';
  const origin = read('origin').trim();
  const last = records.at(-1);
  const epoch =
    (last?.epoch ?? 0) + (/^log\.(epoch|sealed|closed)$/.test(last?.event_type ?? '') ? 1 : 0);
  const wrong: string[] = [];
  if (origin === '') wrong.push('the keys folder has no origin');
  for (const name of ['public-key', 'initial-hmac-key', `epoch-${epoch}.key`]) {
    if (!read(name).startsWith(`${origin}+`)) wrong.push(`${name} is not of ${origin}`);
  }
  const signing = readdirSync(keys).filter((name) => /^signing-key.*\.pem$/.test(name));
  if (signing.length !== 1) wrong.push(`the keys folder holds ${signing.join(' and ')}`);
  for (const name of signing) {
    if (!read(name).endsWith('-----END PRIVATE KEY-----\n')) wrong.push(`${name} is not whole`);
  }
  const epochs = readdirSync(keys).filter((name) => /^epoch-.*\.key$/.test(name));
  if (epochs.length !== 1) wrong.push(`the keys folder holds ${epochs.join(' and ')}`);
  return wrong;
}

/** What is wrong with an answer of `check-logs`: verify must be content before and after, and opening must work. */
export function wrongAnswer(
  answer: import('./checker.js').Answer,
  recordsBefore: number,
): string[] {
  const wrong: string[] = [];
  for (const level of ['public', 'auditor'] as const) {
    const { verdict, reason } = answer.before[level];
    // Without a record nobody can say whose log it is; that is all that may be said against it.
    if (verdict === 'ok' || (verdict === 'unverifiable' && recordsBefore === 0)) continue;
    wrong.push(`before opening, at level ${level}: ${verdict} (${reason})`);
  }
  if (answer.error !== undefined) {
    const step = answer.opened === undefined ? 'opening' : 'closing';
    wrong.push(`${step} failed: ${answer.error}`);
  }
  for (const level of ['public', 'auditor'] as const) {
    const after = answer.after?.[level];
    if (after === undefined) continue;
    if (after.verdict !== 'ok')
      wrong.push(`after, at level ${level}: ${after.verdict} (${after.reason})`);
    if (after.pending !== 0) wrong.push(`after, at level ${level}: ${after.pending} pending`);
  }
  for (const state of ['missing', 'no_key', 'altered'] as const) {
    const count = answer.contents?.[state] ?? 0;
    if (count > 0) wrong.push(`the content of ${count} members is ${state}`);
  }
  return wrong;
}
