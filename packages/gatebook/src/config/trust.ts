import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFolder, writeWhole } from '../whole-file.js';
import type { Environment } from './environment.js';
import { readConfigFile, requireOwn, userFolder } from './files.js';
import type { NamedFile } from './named-files.js';
import { sha256 } from './sha256.js';

/**
 * Which project files this user trusts, each as it was: one small file for each in `$XDG_CONFIG_HOME/gatebook/trust`, named by the hash
 * of the path, with the hash of the content and of each file it names that decides with it. When one of them is changed, the file is not
 * trusted any more.
 */

export function trustFolder(env: Environment): string {
  return join(userFolder(env), 'trust');
}

export interface Trust {
  readonly trusted: boolean;
  /** Why a file that is as it was is not: the files it names that are not as they were. */
  readonly changed: readonly string[];
}

/** Throws a ConfigError where others may write what this user is to have said. */
export function trustIn(
  env: Environment,
  file: string,
  bytes: Uint8Array,
  named: readonly NamedFile[],
): Trust {
  const folder = trustFolder(env);
  const entry = join(folder, sha256(fs.realpathSync(file)));
  const stored = readConfigFile(entry);
  if (stored === undefined) return { trusted: false, changed: [] };
  requireOwn(folder);
  requireOwn(entry);
  const [first, _path, ...others] = stored.toString('utf8').split('\n');
  if (first !== sha256(bytes)) return { trusted: false, changed: [] };
  const changed = named.filter((each) => !others.includes(namedLine(each)));
  return { trusted: changed.length === 0, changed: changed.map(({ path }) => path) };
}

/** Trusts the file no more; returns whether it was trusted, as it is or as it was. The file itself may be gone. */
export function untrust(env: Environment, file: string): boolean {
  const folder = trustFolder(env);
  const entry = join(folder, sha256(placeOf(file)));
  if (!fs.existsSync(entry)) return false;
  fs.rmSync(entry);
  syncFolder(folder);
  return true;
}

function placeOf(file: string): string {
  if (fs.existsSync(file)) return fs.realpathSync(file);
  const folder = dirname(file);
  return fs.existsSync(folder) ? join(fs.realpathSync(folder), basename(file)) : file;
}

/** A file that cannot be read has none that would ever be found. */
function namedLine({ path, sha256: hash = 'unread' }: NamedFile): string {
  return `${hash} ${JSON.stringify(path)}`;
}

/** Trusts the file as these bytes and those of the files it names are; replaces the entry whole or not at all (mode 0600). */
export function trust(
  env: Environment,
  file: string,
  bytes: Uint8Array,
  named: readonly NamedFile[],
): void {
  const folder = trustFolder(env);
  const path = fs.realpathSync(file);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  requireOwn(folder);
  // The path is for people who look; nothing reads it.
  const lines = [sha256(bytes), JSON.stringify(path), ...named.map(namedLine)];
  writeWhole(join(folder, sha256(path)), lines.map((line) => `${line}\n`).join(''));
  syncFolder(folder);
}
