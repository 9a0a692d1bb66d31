import * as fs from 'node:fs';
import * as path from 'node:path';
import { endsEpoch } from './chain.js';
import { type Checkpoint, noteBytesMax, parseCheckpointText, parseNote } from './checkpoint.js';
import { readIfThere, readRegular } from './durable.js';
import { AuditError } from './errors.js';
import { initialKeyOnHost } from './keys.js';
import { lockHolder } from './lock.js';
import type { ForwardSecurity } from './log.js';
import { findLine, parseRecord } from './reader.js';
import { lineBytesMax } from './record.js';
import { listSegments } from './segment.js';

export interface LogStatus {
  readonly origin: string;
  readonly publicKey: string;
  readonly records: number;
  readonly segments: number;
  /** Of the segments. */
  readonly bytes: number;
  /** Of the next record. */
  readonly epoch: number;
  readonly checkpoint?: { readonly size: number; readonly root: string };
  /** Records behind the newest checkpoint. */
  readonly pending: number;
  readonly forwardSecurity: ForwardSecurity;
  /** Pid of a process that has the log open; 0 when it is not known which. */
  readonly lockedBy?: number;
  readonly lastTimestamp?: string;
}

/**
 * How a log stands, read from its folders without checking anything. Throws `not_found` when there is no log, and
 * `log_damaged` when its first or last record cannot be read.
 */
export async function logStatus(options: {
  readonly dir: string;
  readonly keysDir: string;
}): Promise<LogStatus> {
  const { dir, keysDir } = options;
  const segments = listSegments(dir);
  const first = findLine(dir, 0);
  const last = lastLine(segments.at(-1)?.path) ?? lastLine(segments.at(-2)?.path);
  if (first === undefined || last === undefined) {
    throw new AuditError('not_found', `${dir} holds no log`);
  }
  const opened = parseRecord(first.line).details ?? {};
  const record = parseRecord(last);
  const checkpoint = newestCheckpoint(dir);
  const records = record.seq + 1;
  const initialKey = initialKeyOnHost(keysDir);
  const holder = lockHolder(path.join(dir, 'lock'));
  return {
    origin: String(opened['origin']),
    publicKey: newestKey(keysDir, String(opened['origin'])) ?? String(opened['public_key']),
    records,
    segments: segments.length,
    bytes: segments.reduce((sum, segment) => sum + fs.statSync(segment.path).size, 0),
    epoch: record.epoch + (endsEpoch(record.event_type) ? 1 : 0),
    ...(checkpoint === undefined
      ? {}
      : { checkpoint: { size: checkpoint.size, root: checkpoint.root } }),
    pending: Math.max(0, records - (checkpoint?.size ?? 0)),
    forwardSecurity:
      initialKey === undefined ? { on: true } : { on: false, initialKeyFile: initialKey },
    ...(holder === undefined ? {} : { lockedBy: holder }),
    lastTimestamp: record.timestamp,
  };
}

/** The key in the keys folder, when that is of this log; the first record names the oldest only. */
function newestKey(keysDir: string, origin: string): string | undefined {
  const text = readIfThere(path.join(keysDir, 'public-key'))?.trim();
  return text?.startsWith(`${origin}+`) ? text : undefined;
}

function newestCheckpoint(dir: string): Checkpoint | undefined {
  const bytes = readRegular(path.join(dir, 'checkpoint'), noteBytesMax);
  return bytes === undefined ? undefined : parseCheckpointText(parseNote(bytes).text);
}

/** The last complete line of a file. */
function lastLine(file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined;
  const fd = fs.openSync(file, 'r');
  try {
    const { size } = fs.fstatSync(fd);
    // An unfinished line may stand behind the last complete one.
    const window = Buffer.alloc(Math.min(size, 2 * (lineBytesMax + 1) + 1));
    const got = fs.readSync(fd, window, 0, window.length, size - window.length);
    const end = window.subarray(0, got).lastIndexOf(10);
    if (end < 0) return undefined;
    return window.subarray(window.subarray(0, end).lastIndexOf(10) + 1, end);
  } finally {
    fs.closeSync(fd);
  }
}
