import { readRegular } from './durable.js';
import { AuditError } from './errors.js';
import { tallyPath } from './segment.js';
import { tallyBytesMax } from './tally.js';

/** The lines of a tally's file as latin1, unchecked; undefined when there is no such file. */
export function readTallyLines(dir: string, firstSeq: number): string[] | undefined {
  try {
    const bytes = readRegular(tallyPath(dir, firstSeq), tallyBytesMax);
    const text = bytes?.toString('latin1');
    if (text === undefined || (text !== '' && !text.endsWith('\n'))) return undefined;
    return text.split('\n').slice(0, -1);
  } catch (error) {
    // A pipe or a link in its place holds no tally.
    if (error instanceof AuditError) return undefined;
    throw error;
  }
}
