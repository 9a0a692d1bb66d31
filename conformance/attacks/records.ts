import { type Folder, file, put, segmentPaths } from './folder.js';

/** A record where it lies. */
export interface StoredRecord {
  readonly seq: number;
  /** Path of its segment below the log folder. */
  readonly path: string;
  /** Byte where its line begins. */
  readonly offset: number;
  /** Its bytes, without the newline. */
  readonly line: Buffer;
  readonly members: Members;
  readonly type: string;
  readonly epoch: number;
  readonly isLastOfSegment: boolean;
}

export type Members = Readonly<Record<string, unknown>>;

const newline = 0x0a;

/** The records of an untouched folder. Throws when one is not what its own members, written as JSON, give. */
export function readRecords(folder: Folder): StoredRecord[] {
  return segmentPaths(folder).flatMap((path) => recordsOf(path, file(folder, path)));
}

function recordsOf(path: string, bytes: Buffer): StoredRecord[] {
  const records: StoredRecord[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const end = bytes.indexOf(newline, offset);
    if (end < 0) break;
    const line = bytes.subarray(offset, end);
    const members = JSON.parse(line.toString()) as Members;
    if (!Buffer.from(JSON.stringify(members)).equals(line)) {
      throw new Error(`record ${String(members['seq'])} is written in another way than expected`);
    }
    records.push({
      seq: Number(members['seq']),
      path,
      offset,
      line,
      members,
      type: String(members['event_type']),
      epoch: Number(members['epoch']),
      isLastOfSegment: end + 1 === bytes.length,
    });
    offset = end + 1;
  }
  return records;
}

/** The folder with a record's line and newline replaced by other bytes. */
export function replaceRaw(folder: Folder, record: StoredRecord, raw: Buffer | string): Folder {
  const bytes = file(folder, record.path);
  const behind = bytes.subarray(record.offset + record.line.length + 1);
  return put(
    folder,
    record.path,
    Buffer.concat([bytes.subarray(0, record.offset), Buffer.from(raw), behind]),
  );
}

/** The folder with another line in a record's place. */
export function replaceLine(folder: Folder, record: StoredRecord, line: Buffer | string): Folder {
  return replaceRaw(folder, record, Buffer.concat([Buffer.from(line), Buffer.of(newline)]));
}

export function insertBefore(folder: Folder, record: StoredRecord, line: Buffer | string): Folder {
  const added = Buffer.concat([Buffer.from(line), Buffer.of(newline)]);
  return replaceRaw(folder, record, Buffer.concat([added, record.line, Buffer.of(newline)]));
}

/** The folder with bytes behind all others of a segment. */
export function append(folder: Folder, path: string, bytes: Buffer | string): Folder {
  return put(folder, path, Buffer.concat([file(folder, path), Buffer.from(bytes)]));
}

/** The folder cut to its first `size` records, the rest of that segment and all later segments gone. */
export function cutRecords(folder: Folder, records: readonly StoredRecord[], size: number): Folder {
  const next = records[size];
  if (next === undefined) return folder;
  const kept = new Map(folder);
  for (const path of segmentPaths(folder)) if (path > next.path) kept.delete(path);
  if (next.offset === 0) kept.delete(next.path);
  else kept.set(next.path, file(folder, next.path).subarray(0, next.offset));
  return kept;
}

const endings: ReadonlySet<string> = new Set(['log.epoch', 'log.sealed', 'log.closed']);

/** Whether a record of this type is the last of its epoch. */
export function endsEpoch(type: string): boolean {
  return endings.has(type);
}
