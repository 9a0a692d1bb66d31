import type { Expected, Place } from './attack.js';
import type { StoredRecord } from './records.js';

/** Where a record begins. */
export function placeOf({ path, seq, offset }: StoredRecord): Place {
  return { path, seq, offset };
}

/** Tampered, and the record named exactly. */
export function tamperedAt(record: StoredRecord): Expected {
  return { verdict: 'tampered', at: placeOf(record) };
}

export function tamperedFile(file: string): Expected {
  return { verdict: 'tampered', at: { file } };
}

/** Where the line after a record begins, in the same segment. */
export function placeBehind({ path, seq, offset, line }: StoredRecord): Place {
  return { path, seq: seq + 1, offset: offset + line.length + 1 };
}
