import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { linesOf, type Ran, run } from '../cli/gatebook.js';

/** A home of one's own: nothing is configured but what a test writes there. */
export interface Desk {
  readonly folder: string;
  /** The user's own configuration file. */
  readonly userFile: string;
  /** Where commands are run. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  writeUser(text: string): Promise<void>;
  run(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
    input?: string,
  ): Promise<Ran>;
  /** The records of the log, read by the same configuration. */
  records(args?: readonly string[]): Promise<Stored[]>;
  remove(): Promise<void>;
}

export interface Stored {
  readonly seq: number;
  readonly event_type: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly security?: Readonly<Record<string, unknown>>;
}

export async function openDesk(): Promise<Desk> {
  const folder = await mkdtemp(join(tmpdir(), 'gatebook-config-'));
  const cwd = join(folder, 'work');
  const userFile = join(folder, 'config', 'gatebook', 'config.toml');
  await mkdir(cwd);
  await mkdir(join(folder, 'config', 'gatebook'), { recursive: true, mode: 0o700 });
  const env = {
    HOME: folder,
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_STATE_HOME: join(folder, 'state'),
  };
  const runHere: Desk['run'] = (args, more = {}, input = '') =>
    run(args, { cwd, env: { ...env, ...more }, input });
  return {
    folder,
    userFile,
    cwd,
    env,
    writeUser: (text) => writeFile(userFile, text, { mode: 0o600 }),
    run: runHere,
    records: async (args = []) => {
      const ran = await runHere(['audit', '--format', 'json', ...args]);
      if (ran.code !== 0) throw new Error(`audit failed: ${ran.stderr}`);
      return linesOf(ran.stdout).map((line) => JSON.parse(line) as Stored);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
