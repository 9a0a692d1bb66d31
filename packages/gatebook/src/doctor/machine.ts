import * as fs from 'node:fs';
import { reasonOf } from '../cli/failure.js';
import { type Check, fail, ok, warn } from './check.js';

const oldest = [20, 19] as const;

/** `version` as `process.versions.node` has it. */
export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const words = `Node ${version}`;
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    const todo = 'install Node 22 or later';
    return fail('node', `${words} is older than ${oldest.join('.')}, which gatebook needs`, todo);
  }
  if (major > oldest[0]) return ok('node', words);
  const todo = 'go to Node 22 or later when you can';
  return warn('node', `${words} gets no security fixes since April 2026`, todo);
}

/** What is left on a file system. */
export interface Space {
  readonly bytes: number;
  readonly files: number;
}

const bytesLow = 1024 ** 3;
const bytesNone = 32 * 1024 ** 2;
const filesLow = 1_000;

export function checkSpace(folder: string): Check {
  try {
    const { bavail, bsize, ffree, files } = fs.statfsSync(folder);
    // Some file systems have no fixed number of files.
    return judgeSpace(folder, { bytes: bavail * bsize, files: files === 0 ? Infinity : ffree });
  } catch (error) {
    return warn('disk', `what is left on the disk of ${folder} is not known: ${reasonOf(error)}`);
  }
}

export function judgeSpace(folder: string, { bytes, files }: Space): Check {
  const words = `${Math.floor(bytes / 1024 ** 2)} MiB are left on the disk of ${folder}`;
  const todo = 'make room, or set a retention (gatebook audit prune --help)';
  if (bytes < bytesNone) return fail('disk', `${words}; what cannot be recorded is refused`, todo);
  if (files < filesLow) return warn('disk', `${words}, and room for ${files} files`, todo);
  if (bytes < bytesLow) return warn('disk', words, todo);
  return ok('disk', words);
}
