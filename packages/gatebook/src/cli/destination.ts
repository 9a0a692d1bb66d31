import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { CliError, codeOf, reasonOf, usageError } from './failure.js';
import type { Places } from './places.js';

/** Where a command's data goes: standard output, or a file that appears whole or not at all. */
export interface Destination {
  /** Whether a person sees it as it is written. */
  readonly terminal: boolean;
  write(data: string | Uint8Array): Promise<void>;
  /** Makes what was written final. */
  finish(): Promise<void>;
  /** Leaves nothing behind of what was not finished. */
  discard(): Promise<void>;
}

/** Thrown when whoever read our standard output has gone (`| head`); a command then ends quietly. */
export class OutputClosed extends Error {
  constructor() {
    super('the reader of standard output has gone');
    this.name = 'OutputClosed';
  }
}

const goneCodes: ReadonlySet<string | undefined> = new Set([
  'EPIPE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** Resolves when the data was taken by the kernel, so that a slow reader slows the writer down. */
export function writeStdout(data: string | Uint8Array): Promise<void> {
  return new Promise((done, fail) => {
    process.stdout.write(data, (error) => {
      if (!error) return done();
      if (goneCodes.has(codeOf(error))) return fail(new OutputClosed());
      fail(
        new CliError(1, `could not write to standard output: ${error.message}`, { cause: error }),
      );
    });
  });
}

export function standardOutput(): Destination {
  return {
    terminal: process.stdout.isTTY === true,
    write: writeStdout,
    finish: async () => {},
    discard: async () => {},
  };
}

/**
 * A file of mode 0600 that takes its name only when it is complete and synced; a file that was there is replaced then, or
 * refused where it must be `new`.
 * Refuses targets that are not regular files, and any inside the log or keys folder.
 */
export async function outputFile(
  path: string,
  places: Places,
  state: 'any' | 'new' = 'any',
): Promise<Destination> {
  const target = await checkedTarget(path, places);
  if (state === 'new' && (await stat(target).catch(() => undefined)) !== undefined)
    throw usageError(`${path} is there already; name a new file`);
  const unfinished = join(
    dirname(target),
    `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`,
  );
  let handle: FileHandle;
  try {
    handle = await open(unfinished, 'wx', 0o600);
  } catch (error) {
    throw new CliError(1, `could not write ${path}: ${reasonOf(error)}`, { cause: error });
  }
  const forget = removeOnSignal(unfinished);
  return {
    terminal: false,
    write: async (data) => {
      await handle.writeFile(data);
    },
    finish: async () => {
      await handle.sync();
      await handle.close();
      await rename(unfinished, target);
      forget();
      await syncFolder(dirname(target));
    },
    discard: async () => {
      await handle.close().catch(() => {});
      await rm(unfinished, { force: true });
      forget();
    },
  };
}

async function checkedTarget(path: string, places: Places): Promise<string> {
  const absolute = resolve(path);
  const found = await stat(absolute).catch(() => undefined);
  if (found !== undefined && !found.isFile()) {
    throw usageError(`${path} is not a regular file; use the shell's > to write there`);
  }
  const folder = await realpath(dirname(absolute)).catch(() => undefined);
  if (folder === undefined) {
    throw usageError(`the folder of ${path} does not exist; make it first`);
  }
  for (const reserved of [places.dir, places.keysDir]) {
    const real = await realpath(reserved).catch(() => undefined);
    if (real !== undefined && isWithin(folder, real)) {
      throw usageError(`${path} lies in ${reserved}, which only the log itself writes to`);
    }
  }
  return join(folder, basename(absolute));
}

function isWithin(folder: string, root: string): boolean {
  const way = relative(root, folder);
  return way === '' || (!way.startsWith('..') && !way.startsWith('/'));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A signal ends the process as it would have, after the unfinished file was removed. Returns how to stop that. */
function removeOnSignal(path: string): () => void {
  const onSignal = (signal: NodeJS.Signals): void => {
    rmSync(path, { force: true });
    forget();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return forget;
}

/** Runs `fill` over the destination; finishes it when that succeeds, leaves nothing when it fails. */
export async function withDestination<T>(
  destination: Destination,
  fill: (destination: Destination) => Promise<T>,
): Promise<T> {
  try {
    const value = await fill(destination);
    await destination.finish();
    return value;
  } catch (error) {
    await destination.discard();
    throw error;
  }
}
