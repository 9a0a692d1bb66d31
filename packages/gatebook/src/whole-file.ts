import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';

/** Puts bytes in the place of a file (mode 0600), whole or not at all. They are on disk then, the name only after `syncFolder`. */
export function writeWhole(path: string, bytes: string | Uint8Array): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const fd = fs.openSync(draft, 'wx', 0o600);
    try {
      fs.writeFileSync(fd, bytes);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(draft, path);
  } catch (error) {
    fs.rmSync(draft, { force: true });
    throw error;
  }
}

/** What was made, renamed and deleted in a folder is on disk then. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
