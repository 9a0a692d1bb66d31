import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFolder, writeWhole } from '../whole-file.js';
import type { Environment } from './environment.js';
import { readConfigFile, requireOwn, userFolder } from './files.js';

/**
 * Which project files this user trusts, each as it was: one small file for each in `$XDG_CONFIG_HOME/gatebook/trust`, named by the hash
 * of the path, with the hash of the content. A file that is changed is not trusted any more.
 */

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function trustFolder(env: Environment): string {
  return join(userFolder(env), 'trust');
}

/** Throws a ConfigError where others may write what this user is to have said. */
export function isTrusted(env: Environment, file: string, bytes: Uint8Array): boolean {
  const folder = trustFolder(env);
  const entry = join(folder, sha256(fs.realpathSync(file)));
  const stored = readConfigFile(entry);
  if (stored === undefined) return false;
  requireOwn(folder);
  requireOwn(entry);
  return stored.toString('utf8').split('\n')[0] === sha256(bytes);
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

/** Trusts the file as these bytes are; replaces the entry whole or not at all (mode 0600). */
export function trust(env: Environment, file: string, bytes: Uint8Array): void {
  const folder = trustFolder(env);
  const path = fs.realpathSync(file);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  requireOwn(folder);
  // The path is for people who look; nothing reads it.
  writeWhole(join(folder, sha256(path)), `${sha256(bytes)}\n${JSON.stringify(path)}\n`);
  syncFolder(folder);
}
