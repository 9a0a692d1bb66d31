import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gatebookBin, type Ran, run } from '../cli/gatebook.js';

/** A user's home folder, with nothing of gatebook in it yet, and a folder to work in. */
export interface Home {
  readonly folder: string;
  readonly work: string;
  readonly log: string;
  readonly keys: string;
  readonly config: string;
  /** Runs a command in `work` as somebody at home there. */
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** Writes a file below the home folder, with its folders; returns its path. */
  write(name: string, content: string | Buffer, mode?: number): Promise<string>;
  read(name: string): Promise<string>;
  remove(): Promise<void>;
}

export async function openHome(): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'gatebook-home-'));
  const work = join(folder, 'work');
  await mkdir(work);
  const own = { HOME: folder, XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  return {
    folder,
    work,
    log: join(folder, '.local/state/gatebook/log'),
    keys: join(folder, '.config/gatebook/keys'),
    config: join(folder, '.config/gatebook/config.toml'),
    run: (args, env = {}) => run(args, { env: { ...own, ...env }, cwd: work }),
    write: async (name, content, mode = 0o600) => {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content, { mode });
      return path;
    },
    read: (name) => readFile(join(folder, name), 'utf8'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Where each client keeps its own file on Linux, and under which name its servers stand there. */
export const clients = [
  ['claude-desktop', '.config/Claude/claude_desktop_config.json', 'mcpServers'],
  ['claude-code', '.claude.json', 'mcpServers'],
  ['cursor', '.cursor/mcp.json', 'mcpServers'],
  ['vscode', '.config/Code/User/mcp.json', 'servers'],
] as const;

/** What stands in front of a server's own words. */
export const front: readonly string[] = [process.execPath, gatebookBin, 'mcp', '--'];

export interface Entry {
  readonly command: string;
  readonly args?: readonly string[];
}

/** A command line as a client would start it. */
export function wordsOf(entry: Entry | undefined): string[] {
  return entry === undefined ? [] : [entry.command, ...(entry.args ?? [])];
}
