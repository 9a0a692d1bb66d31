import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** The files of a log folder by their path in it. The bytes are never changed in place, so copies are cheap. */
export type Folder = ReadonlyMap<string, Buffer>;

export async function readFolder(dir: string): Promise<Folder> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1));
  const contents = await Promise.all(paths.sort().map((path) => readFile(join(dir, path))));
  return new Map(paths.map((path, i) => [path, contents[i]!]));
}

/** The folder with one file given or replaced. */
export function put(folder: Folder, path: string, bytes: Buffer | string): Folder {
  return new Map(folder).set(path, Buffer.from(bytes));
}

/** The folder without some files. */
export function drop(folder: Folder, ...paths: readonly string[]): Folder {
  const rest = new Map(folder);
  for (const path of paths) {
    if (!rest.delete(path)) throw new Error(`${path} is not in the folder`);
  }
  return rest;
}

/** The folder with only the files that `keep` names. */
export function only(folder: Folder, keep: (path: string) => boolean): Folder {
  return new Map([...folder].filter(([path]) => keep(path)));
}

export function rename(folder: Folder, from: string, to: string): Folder {
  return put(drop(folder, from), to, file(folder, from));
}

export function file(folder: Folder, path: string): Buffer {
  const bytes = folder.get(path);
  if (bytes === undefined) throw new Error(`${path} is not in the folder`);
  return bytes;
}

/** Paths below one folder of the log, in order. */
export function pathsIn(folder: Folder, name: string): string[] {
  return [...folder.keys()].filter((path) => path.startsWith(`${name}/`)).sort();
}

export function segmentPaths(folder: Folder): string[] {
  return pathsIn(folder, 'segments').filter((path) => path.endsWith('.jsonl'));
}

/** A folder on disk that is changed from one state to the next by writing only the files that differ. */
export class WorkFolder {
  readonly dir: string;
  #state: Folder = new Map();

  constructor(dir: string) {
    this.dir = dir;
  }

  async become(folder: Folder): Promise<void> {
    await mkdir(join(this.dir, 'segments'), { recursive: true });
    for (const path of this.#state.keys()) {
      if (!folder.has(path)) await rm(join(this.dir, path));
    }
    for (const [path, bytes] of folder) {
      if (this.#state.get(path) === bytes) continue;
      await mkdir(dirname(join(this.dir, path)), { recursive: true });
      await writeFile(join(this.dir, path), bytes);
    }
    this.#state = folder;
  }

  /** After something that `become` knows nothing about was done to the folder. */
  async clear(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
    this.#state = new Map();
  }
}
