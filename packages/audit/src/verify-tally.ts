import * as path from 'node:path';
import { readRegular } from './durable.js';
import { AuditError } from './errors.js';
import { type SegmentName, tallyPath } from './segment.js';
import { type Tally, tallyBytes, tallyBytesMax, tallyRoot } from './tally.js';
import type { Seal } from './verify-chunk.js';
import type { Finding } from './verify-report.js';

/** What is wrong with a seal's tally, or with the file beside the segment; docs/format.md §9.4, tallies. */
export function checkTally(
  dir: string,
  segment: SegmentName,
  seal: Seal,
  tally: Tally,
): Finding | undefined {
  const lines = tally.lines();
  const { details, seq, offset } = seal;
  const counts =
    !tally.overflow &&
    details['first_timestamp'] === tally.first &&
    details['last_timestamp'] === tally.last &&
    details['tally_size'] === lines.length &&
    details['tally_root'] === tallyRoot(lines);
  if (!counts) {
    const reason = 'the seal does not tally the records of its segment';
    return { kind: 'tally', reason, segment: segment.name, seq, offset };
  }
  const file = tallyPath(dir, segment.firstSeq);
  const wrong = differs(file, tallyBytes(lines));
  if (wrong === undefined) return undefined;
  return { kind: 'tally', reason: wrong, file: path.relative(dir, file) };
}

function differs(file: string, wanted: Buffer): string | undefined {
  try {
    const bytes = readRegular(file, tallyBytesMax);
    if (bytes === undefined) return 'the tally of a sealed segment is gone';
    return bytes.equals(wanted) ? undefined : 'the tally is not that of its segment';
  } catch (error) {
    if (error instanceof AuditError) return error.message;
    throw error;
  }
}
