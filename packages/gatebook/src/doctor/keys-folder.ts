import * as fs from 'node:fs';
import { join } from 'node:path';
import { signingSource } from '@gatebook/audit';
import { codeOf, reasonOf } from '../cli/failure.js';
import { type Check, fail, ok, warn } from './check.js';
import { readSmall } from './small-file.js';

/** Of a keys folder, what is no secret. */
export interface KeysFolder {
  readonly origin: string | undefined;
  readonly publicKey: string | undefined;
}

export function readKeysFolder(keysDir: string): KeysFolder {
  const read = (name: string): string | undefined => {
    try {
      const text = readSmall(join(keysDir, name))?.trim();
      return text === '' ? undefined : text;
    } catch {
      // The checks below say what is wrong with it.
      return undefined;
    }
  };
  return { origin: read('origin'), publicKey: read('public-key') };
}

/** Whether the keys are there, and nobody else's: the gate refuses to start with keys that others may read. */
export function checkKeys(keysDir: string, env: NodeJS.ProcessEnv): Check[] {
  let names: string[];
  try {
    names = fs.readdirSync(keysDir);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      const todo = 'restore it from a backup, or begin a new log (gatebook init --after)';
      return [fail('keys', `the keys folder ${keysDir} is missing`, todo)];
    }
    const todo = 'run this as the user whose log it is';
    return [fail('keys', `the keys folder ${keysDir} cannot be read: ${reasonOf(error)}`, todo)];
  }
  return [
    ...checkModes(keysDir, names),
    ...checkPresence(keysDir, names),
    checkSigning(keysDir, env),
  ];
}

function checkModes(keysDir: string, names: readonly string[]): Check[] {
  const wrong = [keysDir, ...names.map((name) => join(keysDir, name))].flatMap((path) => {
    const why = exposure(path, path === join(keysDir, 'public-key') ? 0o022 : 0o077);
    return why === undefined ? [] : [`${path} ${why}`];
  });
  if (wrong.length === 0)
    return [ok('keys.modes', `${keysDir} and what is in it is its owner’s alone`)];
  const todo = `make them your own and close them to others (chmod -R go-rwx ${keysDir}); keys that others may have read should be changed (gatebook keys rotate)`;
  return [fail('keys.modes', some(wrong), todo)];
}

const namedMax = 5;

function some(words: readonly string[]): string {
  const more = words.length > namedMax ? [`and ${words.length - namedMax} more`] : [];
  return [...words.slice(0, namedMax), ...more].join('; ');
}

/** What is wrong with who may use a file; undefined where nothing is. */
export function exposure(path: string, closed: number): string | undefined {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  const uid = process.getuid?.();
  if (stat === undefined || uid === undefined) return undefined;
  if (uid !== 0 && stat.uid !== uid) return `belongs to user ${stat.uid}`;
  const mode = stat.mode & 0o777;
  return (mode & closed) === 0 ? undefined : `is open to others (mode ${mode.toString(8)})`;
}

function checkPresence(keysDir: string, names: readonly string[]): Check[] {
  const needed = ['origin', 'head', 'public-key'];
  const missing = needed.filter((name) => !names.includes(name));
  if (!names.some((name) => /^epoch-\d+\.key$/.test(name))) missing.push('epoch-N.key');
  if (missing.length === 0) return [];
  const what = `${keysDir} lacks ${missing.join(', ')}`;
  return [fail('keys.files', what, 'restore the keys folder from a backup')];
}

function checkSigning(keysDir: string, env: NodeJS.ProcessEnv): Check {
  const id = 'keys.signing';
  try {
    const source = signingSource(keysDir);
    if (source === undefined)
      return warn(id, `no signing key is set up in ${keysDir}`, 'gatebook init');
    const { kind, file, words } = source;
    if (kind === 'file' && file !== undefined) return checkSigningFile(id, file);
    const [variable] = /GATEBOOK_SIGNING_[A-Z0-9_]+/.exec(words) ?? [];
    if (kind === 'variable' && variable !== undefined && (env[variable] ?? '') === '') {
      return warn(
        id,
        `the log signs with ${words}, which is not set here`,
        'set it where the gate runs',
      );
    }
    return ok(id, `the log signs with ${words}`);
  } catch (error) {
    return fail(id, `the signing key: ${reasonOf(error)}`, 'restore the keys folder from a backup');
  }
}

function checkSigningFile(id: string, file: string): Check {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) {
    const todo = 'restore it; where it is lost, begin a new log with gatebook init --after';
    return fail(id, `the signing key ${file} is missing`, todo);
  }
  const why = exposure(file, 0o077);
  if (why !== undefined) return fail(id, `the signing key ${file} ${why}`, `chmod go-rwx ${file}`);
  return ok(id, `the log signs with ${file}`);
}

/** Whether whoever takes this host could rewrite what is past. */
export function checkForwardSecurity(keysDir: string): Check[] {
  const id = 'forward_security';
  let names: string[];
  try {
    names = fs.readdirSync(keysDir);
  } catch {
    return [];
  }
  if (names.includes('initial-hmac-key')) {
    return [
      warn(
        id,
        `off: the initial HMAC key lies in ${keysDir}, and who has it can rewrite everything up to the newest evidence kept elsewhere`,
        'give it to whoever audits: gatebook keys export --hmac --remove -o FILE, and move FILE off this host',
      ),
    ];
  }
  if (names.includes('epoch-0.key')) {
    return [
      warn(
        id,
        `not yet: ${join(keysDir, 'epoch-0.key')} is the initial HMAC key for as long as the first epoch lasts`,
        'record something and end the writer: that ends the epoch, as 60 s do while it writes',
      ),
    ];
  }
  return [ok(id, `on: the initial HMAC key is not in ${keysDir}`)];
}
