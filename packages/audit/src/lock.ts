import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { readIfThere } from './durable.js';
import { AuditError, systemCode } from './errors.js';

/** The part of fs-native-extensions that is used here; the package ships no types. */
interface NativeLocks {
  tryLock(fd: number): boolean;
}
const require = createRequire(import.meta.url);
/** Loaded when a lock is taken: finding the binary costs a thread that never locks some 20 ms. */
const native = (): NativeLocks => require('fs-native-extensions') as NativeLocks;

/** A lock of the kernel on a file, held until released or until the process ends, however it ends. */
export interface KernelLock {
  /** The locked file itself; another file under its name is another lock. */
  readonly identity: FileIdentity;
  release(): void;
}

/** What tells a file from another that was put in its place. */
export interface FileIdentity {
  readonly file: string;
  readonly device: number;
  readonly inode: number;
}

/** What a held lock's file says, for people and for whoever looks for the writer; only the kernel's lock counts. */
export interface LockNote {
  readonly pid: number | undefined;
  /** Where the writer can be reached. */
  readonly socket: string | undefined;
}

/**
 * Takes the lock on `file` (an open file description lock on Linux, so that threads of one process exclude each other
 * too) or throws `log_locked` naming the holder's pid.
 */
export function takeLock(file: string, what: string): KernelLock {
  const lock = openLock(file, '', tryPatiently);
  if (lock !== undefined) return lock;
  throw new AuditError(
    'log_locked',
    `${what} is open in ${holderName(readLockNote(file).pid)}; end that process or use another log folder`,
  );
}

/** Takes the lock on `file` when it is free this moment, and notes beside the pid where the holder can be reached. */
export function tryTakeLock(file: string, socket: string): KernelLock | undefined {
  return openLock(file, socket, (fd) => native().tryLock(fd));
}

function openLock(
  file: string,
  socket: string,
  attempt: (fd: number) => boolean,
): KernelLock | undefined {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  let taken = false;
  try {
    if (!attempt(fd)) return undefined;
    const { dev: device, ino: inode } = fs.fstatSync(fd);
    const identity = { file, device, inode };
    // Who waited for a file that was replaced meanwhile holds a lock that nobody else will ask for.
    if (!isStill(identity)) return undefined;
    fs.ftruncateSync(fd, 0);
    fs.writeSync(fd, socket === '' ? `${process.pid}\n` : `${process.pid}\n${socket}\n`, 0);
    taken = true;
    return { identity, release: () => fs.closeSync(fd) };
  } finally {
    if (!taken) fs.closeSync(fd);
  }
}

/** Whether the file is still where it was. */
export function isStill({ file, device, inode }: FileIdentity): boolean {
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  return stat !== undefined && stat.dev === device && stat.ino === inode;
}

const attemptsMax = 40;

/** Whoever asks for the holder (`lockHolder`) has the lock for a moment; a start waits that long. */
function tryPatiently(fd: number): boolean {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (native().tryLock(fd)) return true;
    Atomics.wait(sleeper, 0, 0, 1 + Math.random() * 4);
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
    if (native().tryLock(fd)) return undefined;
    return readLockNote(file).pid ?? 0;
  } finally {
    fs.closeSync(fd);
  }
}

/** What can be seen of the lock on a file without asking for it, which would take it for a moment. */
export interface SeenHolder {
  /** Undefined where the system does not tell. */
  readonly held: boolean | undefined;
  /** As the last holder noted it. */
  readonly pid: number | undefined;
}

/** Looks for the lock in the kernel's own list, where there is one; else whether the process that noted itself is alive. */
export function seeHolder(file: string): SeenHolder {
  const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return { held: false, pid: undefined };
  const { pid } = readLockNote(file);
  const listed = listedAsLocked(stat);
  if (listed !== undefined) return { held: listed, pid };
  return { held: pid !== undefined && isAlive(pid) ? undefined : false, pid };
}

/** Undefined where the list cannot say: it numbers the devices of some file systems otherwise than `stat` does. */
function listedAsLocked({ dev, ino }: fs.BigIntStats): boolean | undefined {
  let list: string;
  try {
    list = fs.readFileSync('/proc/locks').toString('latin1');
  } catch {
    return undefined;
  }
  const rows = [...list.matchAll(/ ([0-9a-f]+):([0-9a-f]+):([0-9]+) /g)];
  // Some sandboxes show an empty list, whatever is locked.
  if (rows.length === 0) return undefined;
  const same = rows.filter(([, , , inode]) => BigInt(inode!) === ino);
  if (same.length === 0) return false;
  const device = `${majorOf(dev).toString(16)}:${minorOf(dev).toString(16)}`;
  const plain = (hex: string): string => BigInt(`0x${hex}`).toString(16);
  const here = same.some(([, major, minor]) => `${plain(major!)}:${plain(minor!)}` === device);
  return here ? true : undefined;
}

function majorOf(device: bigint): bigint {
  return ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
}

function minorOf(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

/** Reads what a holder noted; nothing when it is only just starting or there is no file. */
export function readLockNote(file: string): LockNote {
  const [first = '', second = ''] = (readIfThere(file) ?? '').split('\n');
  const pid = /^[0-9]{1,10}$/.test(first) ? Number(first) : 0;
  return { pid: pid > 0 ? pid : undefined, socket: second === '' ? undefined : second };
}

export function holderName(pid: number | undefined): string {
  return pid === undefined ? 'another process' : `process ${pid}`;
}
