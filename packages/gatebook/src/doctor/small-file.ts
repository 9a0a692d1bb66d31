import * as fs from 'node:fs';
import { codeOf } from '../cli/failure.js';

const bytesMax = 1024 * 1024;

/**
 * The text of a small file, undefined where there is none. A pipe, a folder or a huge file in its place is refused and never waited
 * for. Throws with the reason.
 */
export function readSmall(file: string): string | undefined {
  let fd: number;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw new Error(`${file} is not a regular file`);
    if (stat.size > bytesMax) throw new Error(`${file} is larger than ${bytesMax} bytes`);
    return fs.readFileSync(fd).toString('utf8');
  } finally {
    fs.closeSync(fd);
  }
}
