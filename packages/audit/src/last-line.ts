import { lineBytesMax } from './record.js';
import { openBytes, readBytes } from './segment-bytes.js';

/** The last complete line of a file, without its newline. */
export function lastLine(file: string): Buffer | undefined {
  const bytes = openBytes(file);
  try {
    const size = bytes.size();
    // An unfinished line may stand behind the last complete one.
    const window = Buffer.alloc(Math.min(size, 2 * (lineBytesMax + 1) + 1));
    const got = readBytes(bytes, window, size - window.length);
    const end = window.subarray(0, got).lastIndexOf(10);
    if (end < 0) return undefined;
    return window.subarray(window.subarray(0, end).lastIndexOf(10) + 1, end);
  } finally {
    bytes.close();
  }
}
