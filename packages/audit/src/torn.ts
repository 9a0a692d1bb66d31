import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { isThere, makeFolder, readAll, readRegular, replaceFileDurably } from './durable.js';
import { AuditError } from './errors.js';
import { sequenceName } from './segment.js';

/** Bytes of a write that was never finished, set aside in the log's `torn` folder. */
export interface TornBytes {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

const tornFolder = 'torn';
/** More than any write of this log leaves behind; such an end was made by somebody else. */
const tornBytesMax = 64 * 1024 * 1024;

/** Copies the torn end into a file of its own, durably, and only then cuts it off. */
export function setAside(
  dir: string,
  torn: { readonly path: string; readonly at: number },
  seq: number,
): void {
  const fd = fs.openSync(torn.path, 'r+');
  try {
    const size = fs.fstatSync(fd).size - torn.at;
    if (size > tornBytesMax) {
      throw new AuditError(
        'log_damaged',
        `${torn.path} ends in ${size} bytes that are no records; run gatebook audit verify`,
      );
    }
    const bytes = Buffer.alloc(size);
    readAll(fd, bytes, torn.at);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const folder = path.join(dir, tornFolder);
    makeFolder(folder);
    const waiting = unrecordedTorn(dir, seq);
    if (!waiting.some((one) => one.sha256 === sha256)) {
      const place = sequenceName(Math.max(seq, 1) + waiting.length);
      replaceFileDurably(path.join(folder, `${place}-${sha256.slice(0, 16)}.bin`), bytes);
    }
    fs.ftruncateSync(fd, torn.at);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Torn files that no record names yet. Each is named for a seq from the next one on: a record that named it would have taken
 * a seq behind the ones before, and at seq 0 stands `log.opened`.
 */
export function unrecordedTorn(dir: string, seq: number): TornBytes[] {
  const folder = path.join(dir, tornFolder);
  if (!isThere(folder)) return [];
  return fs
    .readdirSync(folder)
    .filter((file) => /^\d{20}-[0-9a-f]{16}\.bin$/.test(file) && Number(file.slice(0, 20)) >= seq)
    .sort()
    .map((file) => {
      const bytes = readRegular(path.join(folder, file), tornBytesMax) ?? Buffer.alloc(0);
      return {
        file,
        bytes: bytes.length,
        sha256: createHash('sha256').update(bytes).digest('hex'),
      };
    });
}

/** Hex SHA-256 of a torn file, undefined when it is gone or is no such file. */
export function tornHash(dir: string, name: string): string | undefined {
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/.test(name)) return undefined;
  try {
    const bytes = readRegular(path.join(dir, tornFolder, name), tornBytesMax);
    return bytes === undefined ? undefined : createHash('sha256').update(bytes).digest('hex');
  } catch (error) {
    if (error instanceof AuditError) return undefined;
    throw error;
  }
}
