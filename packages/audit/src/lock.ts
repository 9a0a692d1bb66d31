import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { AuditError } from './errors.js';

/** The part of fs-native-extensions that is used here; the package ships no types. */
interface NativeLocks {
  tryLock(fd: number): boolean;
}
const locks = createRequire(import.meta.url)('fs-native-extensions') as NativeLocks;

/** A lock of the kernel on a file, held until released or until the process ends, however it ends. */
export interface KernelLock {
  release(): void;
}

/**
 * Takes the lock on `file` (an open file description lock on Linux, so that threads of one process exclude each other
 * too) or throws `log_locked` naming the holder's pid. The file holds the pid for people; only the kernel's lock counts.
 */
export function takeLock(file: string, what: string): KernelLock {
  const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  let taken = false;
  try {
    taken = tryPatiently(fd);
    if (!taken) {
      throw new AuditError(
        'log_locked',
        `${what} is open in ${holderName(readHolder(file))}; end that process or use another log folder`,
      );
    }
    fs.ftruncateSync(fd, 0);
    fs.writeSync(fd, `${process.pid}\n`, 0);
  } finally {
    if (!taken) fs.closeSync(fd);
  }
  return { release: () => fs.closeSync(fd) };
}

/** Whoever asks for the holder (`lockHolder`) has the lock for a moment; a start waits that long. */
function tryPatiently(fd: number): boolean {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let attempt = 0; attempt < 10; attempt++) {
    if (locks.tryLock(fd)) return true;
    Atomics.wait(sleeper, 0, 0, 5);
  }
  return false;
}

/** The pid of the process that holds the lock on `file`, 0 when held by an unknown one, undefined when free or absent. */
export function lockHolder(file: string): number | undefined {
  let fd: number;
  try {
    fd = fs.openSync(file, 'r+');
  } catch {
    return undefined;
  }
  try {
    if (locks.tryLock(fd)) return undefined;
    return readHolder(file) ?? 0;
  } finally {
    fs.closeSync(fd);
  }
}

function readHolder(file: string): number | undefined {
  const pid = Number.parseInt(fs.readFileSync(file, 'utf8'), 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

function holderName(pid: number | undefined): string {
  return pid === undefined ? 'another process' : `process ${pid}`;
}
