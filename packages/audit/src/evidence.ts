import * as path from 'node:path';
import {
  type Checkpoint,
  type Note,
  noteBytesMax,
  parseCheckpointText,
  parseNote,
} from './checkpoint.js';
import { cosignedFolder } from './cosigned.js';
import { namesIn, readRegular } from './durable.js';
import { AuditError, reasonOf } from './errors.js';
import { parseHead } from './head.js';
import { sequenceName } from './segment.js';

/** A checkpoint file of the log folder, as it was found. */
export interface FolderCheckpoint {
  /** Path below the log folder. */
  readonly file: string;
  readonly note: Note | undefined;
  readonly checkpoint: Checkpoint | undefined;
  /** Why it is none, where `checkpoint` is undefined. */
  readonly reason: string;
}

export interface FolderCheckpoints {
  readonly entries: readonly FolderCheckpoint[];
}

/** Reads `checkpoint`, `checkpoints/` and `cosigned/`; nothing is checked but the form. */
export function readFolderCheckpoints(dir: string): FolderCheckpoints {
  const entries: FolderCheckpoint[] = [];
  const newest = readEntry(dir, 'checkpoint', undefined);
  if (newest) entries.push(newest);
  for (const folder of ['checkpoints', cosignedFolder]) {
    for (const name of namesIn(path.join(dir, folder)).sort()) {
      if (!/^[0-9]{20}$/.test(name)) continue;
      const entry = readEntry(dir, `${folder}/${name}`, name);
      if (entry) entries.push(entry);
    }
  }
  return { entries };
}

function readEntry(
  dir: string,
  file: string,
  sizeName: string | undefined,
): FolderCheckpoint | undefined {
  try {
    const bytes = readRegular(path.join(dir, file), noteBytesMax);
    if (bytes === undefined) return undefined;
    const note = parseNote(bytes);
    const checkpoint = parseCheckpointText(note.text);
    if (sizeName !== undefined && sequenceName(checkpoint.size) !== sizeName) {
      return {
        file,
        note: undefined,
        checkpoint: undefined,
        reason: `it is of size ${checkpoint.size}`,
      };
    }
    return { file, note, checkpoint, reason: '' };
  } catch (error) {
    return { file, note: undefined, checkpoint: undefined, reason: reasonOf(error) };
  }
}

/** Evidence that the verifier brings: a signed checkpoint, or this host's own head, which is not signed. */
export interface Held {
  readonly name: string;
  readonly note: Note | undefined;
  readonly checkpoint: Checkpoint;
  /** When an anchor saw it, in ms. */
  readonly seenMs?: number | undefined;
  readonly ifSigned?: boolean | undefined;
}

/** Evidence as the caller brings it. */
export interface Brought {
  /** How it is called in the report. */
  readonly name: string;
  /** A signed checkpoint. */
  readonly note: string;
  /** When somebody trusted says that it existed, in ms since 1970. */
  readonly seenMs?: number | undefined;
  /**
   * It comes from somebody who may not have it from the log: where no key of the log's history has signed it, it says nothing
   * about the log, and the verdict is at best `unverifiable`.
   */
  readonly ifSigned?: boolean | undefined;
}

/** Reads brought evidence. Throws `bad_checkpoint` naming the file that cannot be used. */
export function readHeld(held: readonly Brought[], head: string | undefined): Held[] {
  const read = held.map(({ name, note: text, seenMs, ifSigned }): Held => {
    try {
      const note = parseNote(Buffer.from(text));
      return { name, note, checkpoint: parseCheckpointText(note.text), seenMs, ifSigned };
    } catch (error) {
      throw new AuditError('bad_checkpoint', `${name}: ${reasonOf(error)}`, { cause: error });
    }
  });
  if (head !== undefined) {
    const { origin, size, root } = parseHead(head);
    read.push({ name: 'head', note: undefined, checkpoint: { origin, size, root } });
  }
  return read;
}
