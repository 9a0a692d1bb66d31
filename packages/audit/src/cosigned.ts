import * as path from 'node:path';
import {
  type Checkpoint,
  type NoteSignature,
  noteBytesMax,
  parseCheckpointText,
  parseNote,
} from './checkpoint.js';
import { makeFolder, namesIn, readRegular, replaceFile, replaceFileDurably } from './durable.js';
import { AuditError } from './errors.js';
import { takeLock } from './lock.js';
import { sequenceName } from './segment.js';
import { withLine } from './witness-client.js';

/**
 * The cosigned checkpoints of a log: `cosigned/<size, 20 digits>`, each the published checkpoint with the lines of its
 * witnesses behind the log's own. They lie apart from `checkpoint`, which the writer replaces every second.
 */

export const cosignedFolder = 'cosigned';

/** The sizes of which a cosigned checkpoint is kept, smallest first. */
export function cosignedSizes(dir: string): number[] {
  return namesIn(path.join(dir, cosignedFolder))
    .filter((name) => /^[0-9]{20}$/.test(name))
    .map(Number)
    .filter(Number.isSafeInteger)
    .sort((a, b) => a - b);
}

export interface SignedCheckpoint {
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

/** A cosigned checkpoint as it lies there, undefined when there is none or it is no checkpoint of that size. */
export function readCosigned(dir: string, size: number): SignedCheckpoint | undefined {
  try {
    return readSigned(path.join(dir, cosignedFolder, sequenceName(size)), size);
  } catch (error) {
    if (error instanceof AuditError) return undefined;
    throw error;
  }
}

/** The checkpoint that the writer published last. Throws `bad_checkpoint` or `log_damaged`. */
export function readPublished(dir: string): SignedCheckpoint | undefined {
  return readSigned(path.join(dir, 'checkpoint'), undefined);
}

function readSigned(file: string, size: number | undefined): SignedCheckpoint | undefined {
  const bytes = readRegular(file, noteBytesMax);
  if (bytes === undefined) return undefined;
  const checkpoint = parseCheckpointText(parseNote(bytes).text);
  if (size !== undefined && checkpoint.size !== size) return undefined;
  return { note: bytes.toString('utf8'), checkpoint };
}

/** Several processes may collect cosignatures; each adds its own under a lock that is held for the moment of it. */
function locked<T>(dir: string, change: () => T): T {
  const folder = path.join(dir, cosignedFolder);
  makeFolder(folder);
  const lock = takeLock(path.join(folder, 'lock'), `the cosigned checkpoints of ${dir}`);
  try {
    return change();
  } finally {
    lock.release();
  }
}

/** Adds a cosignature to the checkpoint it is of, durably. */
export function keepCosignature(dir: string, signed: SignedCheckpoint, line: NoteSignature): void {
  locked(dir, () => {
    const { size, root } = signed.checkpoint;
    const kept = readCosigned(dir, size);
    const base = kept?.checkpoint.root === root ? kept.note : signed.note;
    replaceFileDurably(path.join(dir, cosignedFolder, sequenceName(size)), withLine(base, line));
  });
}

/** How far one witness or anchor has got; times as RFC 3339. */
export interface Progress {
  readonly kind: 'witness' | 'anchor';
  readonly name: string;
  /** Of the newest checkpoint that it has. */
  readonly size?: number;
  /** When that was confirmed: a cosignature's or a timestamp's own time, else this host's. */
  readonly confirmed?: string;
  readonly tried: string;
  /** Hash of the log's newest key, where two sign and the witness has taken this one's signature alone at the last success. */
  readonly logKey?: string;
  /** Why the last try failed. */
  readonly error?: string;
}

const progressFile = 'progress.json';
const progressMax = 256;

/** What the processes that feed witnesses and anchors have noted; nothing of it is evidence. */
export function readProgress(dir: string): Progress[] {
  const bytes = readRegular(path.join(dir, cosignedFolder, progressFile), 1024 * 1024);
  if (bytes === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    // A note that cannot be read is no more than one that was never made.
    return [];
  }
  return Array.isArray(value) ? value.filter(isProgress).slice(0, progressMax) : [];
}

function isProgress(value: unknown): value is Progress {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, name, tried, size, confirmed, logKey, error } = value as Record<string, unknown>;
  const texts = [confirmed, logKey, error].every(
    (text) => text === undefined || typeof text === 'string',
  );
  const sized = size === undefined || Number.isSafeInteger(size);
  const named = typeof name === 'string' && typeof tried === 'string';
  return (kind === 'witness' || kind === 'anchor') && named && texts && sized;
}

/** Notes how far one has got. A failed try leaves what was confirmed before. */
export function noteProgress(dir: string, progress: Progress): void {
  locked(dir, () => {
    const all = readProgress(dir);
    const isSame = (other: Progress): boolean =>
      other.kind === progress.kind && other.name === progress.name;
    const { size, confirmed, logKey } = all.find(isSame) ?? {};
    const failed = progress.size === undefined;
    const before = {
      ...(size === undefined ? {} : { size }),
      ...(confirmed === undefined ? {} : { confirmed }),
      ...(failed && logKey !== undefined ? { logKey } : {}),
    };
    const next = [{ ...before, ...progress }, ...all.filter((other) => !isSame(other))];
    const file = path.join(dir, cosignedFolder, progressFile);
    replaceFile(file, `${JSON.stringify(next.slice(0, progressMax))}\n`);
  });
}
