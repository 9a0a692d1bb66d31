import * as fs from 'node:fs';
import * as path from 'node:path';
import { segmentPath } from './segment.js';

/**
 * Points `current` in the log folder at a segment, so that `tail -F` follows the log. For people; it is not synced, and
 * nothing reads it.
 */
export function linkActive(dir: string, firstSeq: number): void {
  const link = path.join(dir, 'current');
  const target = path.relative(dir, segmentPath(dir, firstSeq));
  try {
    fs.rmSync(`${link}.tmp`, { force: true });
    fs.symlinkSync(target, `${link}.tmp`);
    fs.renameSync(`${link}.tmp`, link);
  } catch {
    // Some file systems have no links; the log does without.
  }
}
