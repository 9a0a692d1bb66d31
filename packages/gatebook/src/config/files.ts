import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { codeOf } from '../cli/failure.js';
import type { Environment } from './environment.js';
import { ConfigError } from './fault.js';

/** The folder of this user's own configuration: `$XDG_CONFIG_HOME/gatebook`. */
export function userFolder(env: Environment, home: string = homedir()): string {
  const named = env['XDG_CONFIG_HOME'];
  const config = named !== undefined && isAbsolute(named) ? named : join(home, '.config');
  return join(config, 'gatebook');
}

export function userFile(env: Environment, home?: string): string {
  return join(userFolder(env, home), 'config.toml');
}

const projectName = 'gatebook.toml';
/** Folders looked at on the way up. */
const foldersMax = 100;

/**
 * The project's file: the nearest one from `cwd` upwards to the root of the repository, which is the folder with `.git`. Outside of a
 * repository only `cwd` itself is looked at, for further up anybody might have put one.
 */
export function projectFile(cwd: string): string | undefined {
  const candidates: string[] = [];
  let at = cwd;
  for (let count = 0; count < foldersMax; count++) {
    candidates.push(join(at, projectName));
    if (isThere(join(at, '.git'))) return candidates.find(isThere);
    const parent = dirname(at);
    if (parent === at) break;
    at = parent;
  }
  return candidates.slice(0, 1).find(isThere);
}

/** What cannot be looked at counts as there: reading it will say what is wrong. */
export function isThere(file: string): boolean {
  try {
    return fs.statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

/** A configuration file is read whole, so it has a bound. */
export const fileBytesMax = 1024 * 1024;

/** The bytes of a file; undefined when there is none. Throws a ConfigError when it is there and cannot be read. */
export function readConfigFile(file: string): Buffer | undefined {
  const refuse = (message: string): never => {
    throw new ConfigError([{ source: file, place: { line: 1, column: 1 }, message }]);
  };
  let fd: number;
  try {
    // A pipe in its place must not be waited for.
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    return refuse(`it cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) refuse('it is not a regular file');
    if (stat.size > fileBytesMax) refuse(`it is larger than ${fileBytesMax} bytes`);
    return fs.readFileSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Refuses a file that another user could change, or a group: what is in it counts as this user's word. */
export function requireOwn(file: string): void {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  const uid = process.getuid?.();
  if (stat === undefined || uid === undefined) return;
  const owned = stat.uid === uid || stat.uid === 0;
  if (owned && (stat.mode & 0o022) === 0) return;
  const message = owned
    ? 'others may write to it; take that from them (chmod go-w)'
    : `it belongs to user ${stat.uid}, who could change it; make it your own`;
  throw new ConfigError([{ source: file, place: { line: 1, column: 1 }, message }]);
}
