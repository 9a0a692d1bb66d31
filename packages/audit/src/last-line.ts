import * as fs from 'node:fs';
import { lineBytesMax } from './record.js';

/** The last complete line of a file, without its newline. */
export function lastLine(file: string): Buffer | undefined {
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
