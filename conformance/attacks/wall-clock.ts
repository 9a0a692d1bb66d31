import { execFile } from 'node:child_process';
import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '../cli/gatebook.js';

/** A wall clock for started processes that can be set while they run; their monotonic clock stays the machine's. */
export interface WallClock {
  readonly env: Readonly<Record<string, string>>;
  /** Seconds ahead of the machine's clock; negative is behind it. */
  set(offsetSeconds: number): Promise<void>;
}

/** Installs libfaketime where it is missing. */
export async function openWallClock(dir: string): Promise<WallClock> {
  await promisify(execFile)(join(repository, 'conformance', 'attacks', 'setup'));
  const file = join(dir, 'wall-clock');
  const set = async (offset: number): Promise<void> => {
    // Whole or not at all: a process that finds nothing in it takes the machine's clock.
    await writeFile(`${file}~`, `${offset < 0 ? '' : '+'}${offset}s\n`);
    await rename(`${file}~`, file);
  };
  await set(0);
  return {
    set,
    env: {
      LD_PRELOAD: await libraryPath(),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    },
  };
}

async function libraryPath(): Promise<string> {
  for (const machine of await readdir('/usr/lib')) {
    const folder = join('/usr/lib', machine, 'faketime');
    const names = await readdir(folder).catch((): string[] => []);
    if (names.includes('libfaketime.so.1')) return join(folder, 'libfaketime.so.1');
  }
  throw new Error('libfaketime.so.1 is in no folder of /usr/lib');
}
