import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** The calls through which a log changes what is on disk. */
const changing = [
  'writeSync',
  'fsyncSync',
  'fdatasyncSync',
  'renameSync',
  'rmSync',
  'ftruncateSync',
  'mkdirSync',
  'writeFileSync',
  'fchmodSync',
  'openSync',
] as const;
/** With the calls by which it looks what is there. */
export const changingAndLooking = [
  ...changing,
  'statSync',
  'lstatSync',
  'readdirSync',
  'existsSync',
] as const;
type Call = (typeof changingAndLooking)[number];

/** Decides for each call whether it fails; its name and first argument are shown. */
export type Fault = (name: Call, first: unknown) => boolean;

function changes(name: Call, args: readonly unknown[]): boolean {
  return name !== 'openSync' || (typeof args[1] === 'string' && /[wax+]/.test(args[1]));
}

function systemError(code: string, name: string): Error {
  return Object.assign(new Error(`${code}: injected, ${name}`), { code });
}

/** Runs `action` while those of `among` that `fault` names fail with `code`. */
export function withFaults<T>(
  fault: Fault,
  action: () => T,
  code = 'EIO',
  among: readonly Call[] = changing,
): T {
  const real = new Map<Call, unknown>();
  for (const name of among) {
    const original = fs[name] as (...args: unknown[]) => unknown;
    real.set(name, original);
    const replacement = (...args: unknown[]): unknown => {
      if (changes(name, args) && fault(name, args[0])) {
        // This one has no way to say that it failed.
        if (name === 'existsSync') return false;
        throw systemError(code, name);
      }
      return original(...args);
    };
    Object.assign(fs, { [name]: replacement });
  }
  syncBuiltinESMExports();
  try {
    return action();
  } finally {
    Object.assign(fs, Object.fromEntries(real));
    syncBuiltinESMExports();
  }
}

export const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';

/** At which changing call something is to happen: at each of them in a whole run, else at every third, from another one each time. */
export function* callsToTry(): Generator<number> {
  const stride = wholeRun ? 1 : 3;
  for (let at = wholeRun ? 0 : randomInt(stride); ; at += stride) yield at;
}

/** Runs `action` as if the process died at its `at`-th changing call (from 0): that call and all behind it do not happen. */
export function dieAt(
  at: number,
  action: () => void,
): { readonly calls: number; readonly died: boolean } {
  let calls = 0;
  try {
    withFaults(() => calls++ >= at, action);
  } catch (error) {
    if (calls <= at) throw error;
  }
  return { calls, died: calls > at };
}

/** How often each changing call was made. */
export function countCalls(action: () => void): Map<string, number> {
  const counts = new Map<string, number>();
  withFaults((name) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return false;
  }, action);
  return counts;
}

/**
 * From here on this test file's own thread only pretends to sync: no process death undoes what was written, and the suite
 * would wait for the disk thousands of times. Calls are still counted and can still be made to fail.
 */
export function pretendToSync(): void {
  Object.assign(fs, { fsyncSync: () => {}, fdatasyncSync: () => {} });
  syncBuiltinESMExports();
}
