import * as fs from 'node:fs';
import { isThere } from './durable.js';
import { AuditError } from './errors.js';

/** Owner-only, and owned by us: else the keys may be anybody's. Throws `keys_missing` or `keys_unsafe`. */
export function checkPrivate(file: string): void {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new AuditError(
      'keys_missing',
      `${file} is missing; restore the keys folder from a backup`,
    );
  }
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid && uid !== 0) {
    throw new AuditError('keys_unsafe', `${file} belongs to user ${stat.uid}, not to user ${uid}`);
  }
  if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8);
    throw new AuditError(
      'keys_unsafe',
      `${file} is open to other users (mode ${mode}); run chmod go-rwx on it`,
    );
  }
}

/** Environment variables that hold secrets of signing; no command that gatebook starts is given them. Throws `bad_option`. */
export function checkSecretVariable(name: string): void {
  if (/^GATEBOOK_SIGNING_[A-Z0-9_]{1,64}$/.test(name)) return;
  throw new AuditError(
    'bad_option',
    `a variable that holds a secret must be named GATEBOOK_SIGNING_…, and ${name} is not`,
  );
}

/** Overwrites a file's bytes and removes it. What a disk keeps besides is not in our hands. */
export function wipeFile(file: string): void {
  // A repeated attempt may find it gone already.
  if (!isThere(file)) return;
  const fd = fs.openSync(file, 'r+');
  try {
    fs.writeSync(fd, Buffer.alloc(fs.fstatSync(fd).size), 0);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.rmSync(file);
}
