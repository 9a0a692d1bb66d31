import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What of a `package.json` the walls depend on. */
export interface Manifest {
  name: string;
  dependencies: string[];
  devDependencies: string[];
  /** The subpaths that `exports` opens: `.`, `./x`. */
  exports: string[];
  /** The files behind `bin`, relative to the package. */
  bins: string[];
}

/** The repository as the walls see it. Paths are relative to its root, with forward slashes. */
export interface House {
  /** By folder: `packages/audit`, `conformance`, and `` for the root. */
  manifests: Map<string, Manifest>;
  /** By path: the text of each source file. */
  sources: Map<string, string>;
}

const outerRooms = ['bench', 'conformance', 'examples'];
const sourceName = /\.[cm]?[jt]sx?$/;
const derived = new Set(['dist', 'node_modules', '.cache']);

/** Reads the manifests and all sources of the packages (`src`, `bin`) and of the folders beside them. */
export function readHouse(root: string): House {
  const house: House = { manifests: new Map(), sources: new Map() };
  house.manifests.set('', readManifest(join(root, 'package.json')));
  for (const room of readdirSync(join(root, 'packages'))) {
    const folder = `packages/${room}`;
    house.manifests.set(folder, readManifest(join(root, folder, 'package.json')));
    readSources(house, root, `${folder}/src`);
    readSources(house, root, `${folder}/bin`);
  }
  for (const folder of outerRooms) {
    house.manifests.set(folder, readManifest(join(root, folder, 'package.json')));
    readSources(house, root, folder);
  }
  return house;
}

function readSources(house: House, root: string, folder: string): void {
  for (const entry of readdirIfThere(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory() && !derived.has(entry.name)) readSources(house, root, path);
    if (entry.isFile() && sourceName.test(entry.name)) {
      house.sources.set(path, readFileSync(join(root, path), 'utf8'));
    }
  }
}

function readdirIfThere(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function readManifest(file: string): Manifest {
  const json = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  const names = (member: string) => Object.keys((json[member] ?? {}) as object);
  const bin = json['bin'];
  return {
    name: String(json['name']),
    dependencies: ['dependencies', 'peerDependencies', 'optionalDependencies'].flatMap(names),
    devDependencies: names('devDependencies'),
    exports: names('exports'),
    bins: typeof bin === 'string' ? [bin] : Object.values((bin ?? {}) as Record<string, string>),
  };
}
