import * as fs from 'node:fs';
import { AuditError } from './errors.js';
import type { SegmentFile } from './segment-file.js';

interface Identity {
  readonly dev: number;
  readonly ino: number;
}

/**
 * Sees whether what is written still goes where readers look. A file that was deleted or replaced takes writes and syncs
 * like any other, and what was acknowledged for it would be nowhere. Two look-ups of the kernel's cache for each group.
 */
export class PlaceWatch {
  readonly #keysDir: string;
  readonly #keys: Identity;

  constructor(keysDir: string) {
    this.#keysDir = keysDir;
    this.#keys = fs.statSync(keysDir);
  }

  /** Throws `log_failed` naming what is not there any more. */
  check(segment: SegmentFile | undefined): void {
    if (segment !== undefined && !isSame(segment.path, segment.identity)) {
      throw lost(
        segment.path,
        'What was acknowledged since is not in it; what was written before may be',
      );
    }
    if (!isSame(this.#keysDir, this.#keys, true)) {
      throw lost(this.#keysDir, 'Without its keys the log cannot go on');
    }
  }
}

function isSame(place: string, known: Identity, follow = false): boolean {
  const look = follow ? fs.statSync : fs.lstatSync;
  const found = look(place, { throwIfNoEntry: false });
  return found !== undefined && found.dev === known.dev && found.ino === known.ino;
}

function lost(place: string, consequence: string): AuditError {
  return new AuditError(
    'log_failed',
    `${place} was deleted or replaced while the log was open. ${consequence}. Put it back where there is a copy, run gatebook audit verify, and open the log again`,
  );
}
