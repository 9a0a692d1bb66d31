import * as fs from 'node:fs';
import { dirname } from 'node:path';
import type { Environment } from './environment.js';
import { projectFile, userFile } from './files.js';
import { trustFolder } from './trust.js';

export interface WatchOptions {
  readonly env: Environment;
  readonly cwd: string;
  /** Files that the configuration names and that decide with it, as it was read last. Where there are others, `onChange` is called for them too. */
  readonly named: () => readonly string[];
  /** Called when something may have changed and has come to rest; not again before it is done. */
  readonly onChange: () => Promise<void>;
}

/** What a system tells of a folder comes at once, and where it tells nothing a look comes so often. */
const pollMs = 2_000;
/** Files have to look the same so long: an editor may first empty one and then fill it. */
const restMs = 100;
const restTriesMax = 20;
/** So many folders are watched; what lies in others is looked at. */
const foldersMax = 32;

/**
 * Watches the files that a configuration comes from, by their folders: editors put new files in the place of old ones. Keeps no process
 * alive.
 */
export class ConfigWatch {
  readonly #options: WatchOptions;
  readonly #watchers = new Map<string, fs.FSWatcher>();
  readonly #poll: NodeJS.Timeout;
  #seen: string;
  #busy = false;
  #ended = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#seen = this.#look();
    this.#watchFolders();
    this.#poll = setInterval(() => this.#check(), pollMs).unref();
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#poll);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #check(): void {
    if (this.#busy || this.#ended) return;
    this.#watchFolders();
    if (this.#look() === this.#seen) return;
    this.#busy = true;
    void this.#settle().finally(() => {
      this.#busy = false;
      // What came while this was being done.
      this.#check();
    });
  }

  async #settle(): Promise<void> {
    let now = this.#look();
    for (let tries = 0; tries < restTriesMax; tries++) {
      await new Promise((resolve) => setTimeout(resolve, restMs).unref());
      const before = now;
      now = this.#look();
      if (now === before) break;
    }
    if (this.#ended) return;
    this.#seen = now;
    await this.#options.onChange();
  }

  /** The files and how they are: what a stat says, for a change leaves at least one of it different. */
  #look(): string {
    const { env, cwd, named } = this.#options;
    const project = projectFile(cwd);
    const files = [userFile(env), trustFolder(env), project ?? cwd];
    return [...files, ...new Set(named())].map(lookOf).join('\n');
  }

  #watchFolders(): void {
    const { env, cwd, named } = this.#options;
    const project = projectFile(cwd);
    const folders = [
      dirname(userFile(env)),
      trustFolder(env),
      project === undefined ? cwd : dirname(project),
      ...named().map((file) => dirname(file)),
    ];
    const wanted = new Set([...new Set(folders)].slice(0, foldersMax));
    for (const [folder, watcher] of this.#watchers)
      if (!wanted.has(folder)) this.#drop(folder, watcher);
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#watch(folder);
  }

  /** Where a folder cannot be watched, or is not there yet, looks have to do. */
  #watch(folder: string): void {
    try {
      const watcher = fs.watch(folder, { persistent: false }, () => this.#check());
      this.#watchers.set(folder, watcher);
      watcher.on('error', () => this.#drop(folder, watcher));
    } catch {
      return;
    }
  }

  #drop(folder: string, watcher: fs.FSWatcher): void {
    watcher.close();
    this.#watchers.delete(folder);
  }
}

function lookOf(file: string): string {
  try {
    const stat = fs.statSync(file, { throwIfNoEntry: false, bigint: true });
    if (stat === undefined) return `${file} -`;
    // A working directory has files of its own that come and go.
    if (stat.isDirectory() && !file.endsWith('trust')) return `${file} /`;
    return [
      file,
      stat.dev,
      stat.ino,
      stat.mode,
      stat.uid,
      stat.size,
      stat.mtimeNs,
      stat.ctimeNs,
    ].join(' ');
  } catch (error) {
    return `${file} ${String(error)}`;
  }
}
