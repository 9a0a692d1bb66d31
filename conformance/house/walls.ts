import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { type Reference, readUnit } from './imports.js';
import type { House, Manifest } from './tree.js';

export type WallKind =
  | 'room' // a room imports another that is not open to it
  | 'cli_only' // conformance imports a package of the house
  | 'deep_import' // a package is entered past its exports
  | 'leaves_package' // a path leads out of the package
  | 'undeclared' // a package is used that the package.json does not name
  | 'computed' // a module's name is computed, so nobody can check it
  | 'star_export'
  | 'default_export';

export interface Breach {
  kind: WallKind;
  file: string;
  line: number;
  reason: string;
}

/** Which packages of the house a room may import; a room not named here is a leaf and may import none. */
const openTo = new Map<string, 'all' | string[]>([
  ['packages/query', ['@gatebook/audit']],
  ['packages/gatebook', 'all'],
  ['bench', 'all'],
  ['examples', 'all'],
  // A library is no black box by its nature: its own suite comes in by the door that users have.
  ['conformance', ['@gatebook/ratelimit']],
]);

/** Every import and export of the house that goes through a wall, in the order of the files. */
export function findBreaches(house: House): Breach[] {
  const breaches: Breach[] = [];
  for (const [folder, manifest] of house.manifests) {
    for (const name of manifest.dependencies) {
      const breach = isOfHouse(house, name) ? wallBetween(folder, manifest, name) : undefined;
      if (breach !== undefined) {
        breaches.push({ ...breach, file: posix.join(folder, 'package.json'), line: 1 });
      }
    }
  }
  for (const [file, text] of house.sources) {
    const unit = readUnit(file, text);
    for (const reference of unit.references) {
      const breach = judge(house, file, reference);
      if (breach !== undefined) breaches.push({ ...breach, file, line: reference.line });
    }
    for (const line of unit.starExports) {
      breaches.push({ kind: 'star_export', file, line, reason: 'export * hides what is public' });
    }
    for (const line of unit.defaultExports) {
      breaches.push({ kind: 'default_export', file, line, reason: 'a default export has no name' });
    }
  }
  return breaches;
}

type Verdict = Pick<Breach, 'kind' | 'reason'> | undefined;

function judge(house: House, file: string, reference: Reference): Verdict {
  const { how, specifier } = reference;
  const folder = folderOf(house, file);
  if (how === 'literal') return judgeLiteral(folder, specifier);
  if (how === 'computed') {
    return { kind: 'computed', reason: `${specifier} is computed; name the module` };
  }
  if (how === 'url') return judgePath(house, folder, compiledPlace(folder, file), specifier, true);
  if (/^(\.{0,2}\/|\.{1,2}$)/.test(specifier)) {
    return judgePath(house, folder, file, specifier, false);
  }
  if (/^(file|data|https?):/.test(specifier)) {
    return { kind: 'leaves_package', reason: `${specifier} is a URL` };
  }
  return isBuiltin(specifier) ? undefined : judgePackage(house, folder, file, specifier);
}

function folderOf(house: House, file: string): string {
  const [first = '', second = ''] = file.split('/');
  const folder = first === 'packages' ? `${first}/${second}` : first;
  if (!house.manifests.has(folder)) throw new Error(`${file} is in no folder with a package.json.`);
  return folder;
}

/** URLs beside `import.meta.url` are taken from where the compiled file lies. */
function compiledPlace(folder: string, file: string): string {
  const inside = posix.relative(folder, file);
  if (inside.startsWith('bin/')) return file;
  return posix.join(folder, 'dist', inside.replace(/^src\//, ''));
}

/** A URL may lead out of the package to data, such as a folder to work on, but to code only at a bin. */
function judgePath(
  house: House,
  folder: string,
  from: string,
  specifier: string,
  url: boolean,
): Verdict {
  const target = specifier.startsWith('/')
    ? specifier
    : posix.join(posix.dirname(from), specifier.replace(/[?#].*$/, ''));
  if (target.startsWith(`${folder}/`) || target === folder) return undefined;
  if (url && !/\.[cm]?[jt]sx?$/.test(target)) return undefined;
  if (url && !folder.startsWith('packages/') && isBin(house, target)) return undefined;
  return { kind: 'leaves_package', reason: `${specifier} leads out of ${folder}` };
}

function isBin(house: House, path: string): boolean {
  for (const [folder, manifest] of house.manifests) {
    if (manifest.bins.some((bin) => posix.join(folder, bin) === path)) return true;
  }
  return false;
}

/** A black box is not opened by starting one of its files either. */
function judgeLiteral(folder: string, text: string): Verdict {
  if (folder !== 'conformance') return undefined;
  if (!/^[\w./@-]*packages\/[\w-]+\/dist\/[\w./-]*\.[cm]?js$/.test(text)) return undefined;
  return {
    kind: 'cli_only',
    reason: `${text} is inside a package; conformance knows only the CLI`,
  };
}

function judgePackage(house: House, folder: string, file: string, specifier: string): Verdict {
  const parts = specifier.split('/');
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  const manifest = house.manifests.get(folder)!;
  if (isOfHouse(house, name)) {
    const subpath = `.${specifier.slice(name.length)}`;
    const wall = wallBetween(folder, manifest, name) ?? judgeDoor(house, name, subpath);
    // What lies beside the packages is linked by the workspace and needs no declaration of them.
    if (wall !== undefined || name === manifest.name || !folder.startsWith('packages/'))
      return wall;
  }
  return isDeclared(house, folder, file, name)
    ? undefined
    : {
        kind: 'undeclared',
        reason: `${name} is not in the dependencies of ${folder}/package.json`,
      };
}

function isOfHouse(house: House, name: string): boolean {
  if (name.startsWith('@gatebook/')) return true;
  return [...house.manifests.values()].some((manifest) => manifest.name === name);
}

function wallBetween(folder: string, manifest: Manifest, name: string): Verdict {
  if (name === manifest.name) return undefined;
  const open = openTo.get(folder) ?? [];
  if (open === 'all' || open.includes(name)) return undefined;
  if (folder === 'conformance') {
    return { kind: 'cli_only', reason: `${name}: conformance knows only the CLI and the limiter` };
  }
  return { kind: 'room', reason: `${folder} may not import ${name}` };
}

function judgeDoor(house: House, name: string, subpath: string): Verdict {
  for (const manifest of house.manifests.values()) {
    if (manifest.name === name && manifest.exports.includes(subpath)) return undefined;
  }
  return { kind: 'deep_import', reason: `${name} does not export ${subpath}` };
}

/** Shipped code needs a dependency of its own; tests, and what is not shipped, may use the root's tools. */
function isDeclared(house: House, folder: string, file: string, name: string): boolean {
  const own = house.manifests.get(folder)!;
  if (own.dependencies.includes(name)) return true;
  const ships = !/\.(test|test-d)\.[cm]?ts$|\/src\/testing\/|\/fixture-[\w-]+\.ts$/.test(file);
  const shipped = folder.startsWith('packages/') && ships;
  if (shipped) return false;
  const root = house.manifests.get('')!;
  return own.devDependencies.includes(name) || root.devDependencies.includes(name);
}
