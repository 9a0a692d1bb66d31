import { lastLine } from './last-line.js';
import { parseRecord } from './reader.js';
import type { SealedSegment } from './retention.js';
import type { SegmentName } from './segment.js';
import { ownTime } from './timestamp.js';

/** What the seal of a segment says of it. */
export interface SegmentSeal extends Omit<SealedSegment, 'has'> {
  readonly tallyRoot: unknown;
}

/** What a segment's last line says, before it is checked; undefined when it is no seal. */
export function readSeal(segment: SegmentName): SegmentSeal | undefined {
  const line = lastLine(segment.path);
  if (line === undefined) return undefined;
  const record = parseRecord(line);
  const { first_seq: firstSeq, tally_root: root, bytes } = record.details ?? {};
  if (record.event_type !== 'log.sealed' || firstSeq !== segment.firstSeq) return undefined;
  return {
    firstSeq: segment.firstSeq,
    lastSeq: record.seq,
    sealedMs: ownTime(record.timestamp),
    bytes: Number(bytes) + line.length + 1,
    tallyRoot: root,
  };
}
