import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repository } from '../cli/gatebook.js';

/** A wall clock for started Node processes that can be set while they run; their monotonic clock stays the machine's. */
export interface WallClock {
  readonly env: Readonly<Record<string, string>> & { readonly NODE_OPTIONS: string };
  /** Whole seconds ahead of the machine's clock; negative is behind it. */
  set(offsetSeconds: number): Promise<void>;
}

export async function openWallClock(dir: string): Promise<WallClock> {
  // Who runs as another user may not be able to look into the repository.
  const preload = join(dir, 'wall-clock.cjs');
  await copyFile(join(repository, 'conformance', 'attacks', 'wall-clock.cjs'), preload);
  const file = join(dir, 'wall-clock');
  const set = async (offset: number): Promise<void> => {
    // Whole or not at all: half of a number is another time.
    await writeFile(`${file}~`, `${offset}\n`);
    await rename(`${file}~`, file);
  };
  await set(0);
  return { set, env: { WALL_CLOCK_FILE: file, NODE_OPTIONS: `--require=${preload}` } };
}
