/** What is known of the place a call runs in; all of it may be left out. */
export interface Surroundings {
  /** The home folder of the agent's user, absolute. */
  home?: string | undefined;
  /** The folder the agent works in, absolute. Relative paths start there. */
  workspace?: string | undefined;
  /** Files and folders of the gate itself, absolute. */
  gateFiles?: readonly string[] | undefined;
  /** Files that the gate goes by and that lie among those of the work, absolute: to be read, not written. */
  settingsFiles?: readonly string[] | undefined;
}

/** Rounds of rewriting until a path stays the same; a path that needs more is not worth understanding. */
const roundsMax = 16;

/**
 * One spelling for one place: `~/x` in the home folder, `x` in the workspace, else an absolute path, or one that
 * begins with `../`. Links are not followed: no file is looked at.
 */
export function canonicalPath(written: string, around: Surroundings = {}): string {
  let path = decoded(written);
  for (let round = 0; round < roundsMax; round++) {
    const next = rewritten(collapsed(withoutProc(path)), around);
    if (next === path) break;
    path = next;
  }
  return path;
}

function decoded(written: string): string {
  const path = written.trim();
  if (!/^file:/i.test(path)) return path;
  const local = path.replace(/^file:(\/\/(localhost|127\.0\.0\.1)?(?=\/))?/i, '');
  try {
    return decodeURIComponent(local);
  } catch {
    return local;
  }
}

/** `.`, `..`, `//` and a slash at the end, gone. What climbs out of `/` stays at `/`. */
function collapsed(path: string): string {
  const absolute = path.startsWith('/');
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    const last = names.at(-1);
    if (name !== '..') names.push(name);
    else if (last !== undefined && last !== '..') names.pop();
    else if (!absolute) names.push(name);
  }
  if (absolute) return `/${names.join('/')}`;
  return names.length === 0 ? '.' : names.join('/');
}

const proc = /^\/proc\/(self|thread-self|[0-9*?[\]-]+|\uFFFD)(\/task\/[^/]+)?\/(root|cwd)(\/|$)/;
const homes = /^(~[\w.-]+|\/(home|Users|var\/home)\/[^/]+|\/(var\/)?root)(?=\/|$)/;

/** What leads through a process back to the root or to where it runs; before `..` is undone, which follows the link. */
function withoutProc(path: string): string {
  const plain = path.replace(/\/(\.?\/)+/g, '/');
  const inProc = proc.exec(plain);
  if (inProc === null) return path;
  const rest = plain.slice(inProc[0].length);
  return inProc[3] === 'root' ? `/${rest}` : rest === '' ? '.' : rest;
}

function rewritten(path: string, around: Surroundings): string {
  const inWorkspace = inside(path, around.workspace);
  if (inWorkspace !== undefined) return inWorkspace === '' ? '.' : inWorkspace;
  const inHome = inside(path, around.home);
  if (inHome !== undefined) return inHome === '' ? '~' : `~/${inHome}`;
  if (path.startsWith('../') && around.workspace !== undefined)
    return `${around.workspace}/${path}`;
  return path.replace(homes, '~');
}

/** The rest of a path below a folder, `` for the folder itself. */
function inside(path: string, folder: string | undefined): string | undefined {
  if (folder === undefined || folder === '/' || folder === '') return undefined;
  const base = folder.replace(/\/+$/, '');
  if (path === base) return '';
  return path.startsWith(`${base}/`) ? path.slice(base.length + 1) : undefined;
}

/**
 * Paths with so many `../` that they may lead anywhere are also looked at from the root and from the home folder:
 * `../../../etc/passwd` may be `/etc/passwd`.
 */
export function readings(written: string, around: Surroundings = {}): string[] {
  const path = canonicalPath(written, around);
  if (!path.startsWith('../')) return [path];
  const rest = path.replace(/^(\.\.\/)+/, '');
  return [path, `/${rest}`, `~/${rest}`].map((each) => canonicalPath(each, around));
}
