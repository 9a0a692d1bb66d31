import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import type { LogFolders } from './child-tasks.js';
import type { Plan } from './plan.js';
import { runTask } from './run-child.js';

const run = promisify(execFile);
/** A line of the big log is shorter than this; used only to ask for enough space before beginning. */
const lineBytesGuess = 800;
/** What the rounds of appending leave lying at the same time, at most. */
const roundBytesGuess = 500e6;

export interface BigLog extends LogFolders {
  /** Of the segments, in order. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/** A temporary folder on the disk that is measured, gone after `remove`. */
export class Workspace {
  readonly folder: string;
  readonly #plan: Plan;
  readonly #abort = new AbortController();
  #bigLog: Promise<LogFolders> | undefined;
  #made = 0;

  /** Makes the folder inside `parent`. Throws when there is not enough space for the plan. */
  constructor(parent: string, plan: Plan) {
    const { bavail, bsize } = fs.statfsSync(parent);
    const free = bavail * bsize;
    const wanted = plan.bigRecords * lineBytesGuess * 1.5 + (plan.quick ? 0 : roundBytesGuess);
    if (free < wanted) {
      const needed = `${Math.ceil(wanted / 1e6)} MB are needed and ${Math.floor(free / 1e6)} MB free`;
      throw new Error(`${parent} is too small: ${needed}; name another folder with --dir`);
    }
    this.folder = fs.mkdtempSync(path.join(parent, 'gatebook-bench-'));
    this.#plan = plan;
  }

  /** Aborted by `remove`: children end with it. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** A path inside the folder where nothing is yet. */
  path(): string {
    return path.join(this.folder, String(this.#made++));
  }

  /** Paths for a log of its own. */
  logFolders(): LogFolders {
    const folder = this.path();
    return { dir: path.join(folder, 'log'), keysDir: path.join(folder, 'keys') };
  }

  /** The log of `plan.bigRecords` records, as it stands now; made when it is first asked for, and closed. */
  async bigLog(): Promise<BigLog> {
    this.#bigLog ??= this.#makeBigLog();
    const folders = await this.#bigLog;
    const segments = path.join(folders.dir, 'segments');
    const names = fs.readdirSync(segments).sort();
    const files = names.filter((name) => name.endsWith('.jsonl'));
    const paths = files.map((file) => path.join(segments, file));
    const bytes = paths.reduce((sum, file) => sum + fs.statSync(file).size, 0);
    return { ...folders, files: paths, bytes };
  }

  async #makeBigLog(): Promise<LogFolders> {
    const folders = this.logFolders();
    const records = this.#plan.bigRecords;
    await runTask({ kind: 'append', ...folders, records, inFlight: 1_000 }, this.signal);
    return folders;
  }

  /**
   * Waits until the file system has written what it holds back, so that no contender pays for the one before: for bytes
   * that were never synced, or for the discarding of a large file. What is cached for reading stays.
   */
  readonly settle = async (): Promise<void> => {
    if (this.#plan.settle) await run('sync', ['-f', this.folder]);
  };

  remove(): void {
    this.#abort.abort();
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
