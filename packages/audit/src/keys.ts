import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import * as path from 'node:path';
import { parseVerifierKey } from './checkpoint.js';
import {
  isThere,
  makeFolder,
  readIfThere,
  replaceFile,
  replaceFileDurably,
  syncFolder,
} from './durable.js';
import { formatHmacKey, nextEpochKey, parseHmacKey } from './epoch-keys.js';
import { AuditError, reasonOf } from './errors.js';
import { emptyHead, formatHead, type Head, parseHead } from './head.js';
import { checkPrivate, wipeFile } from './private-file.js';
import { publicKeyFile, SigningKeys } from './signing-keys.js';

/** The keys folder: what the writer alone may read (docs/format.md §1). */

const names = {
  origin: 'origin',
  initialKey: 'initial-hmac-key',
  head: 'head',
} as const;

export interface Keys {
  readonly folder: string;
  readonly origin: string;
  readonly signing: SigningKeys;
}

/** Reads the keys folder; undefined when its set-up was never finished. Throws when it is damaged or open to others. */
export function readKeys(folder: string): Keys | undefined {
  const origin = readIfThere(path.join(folder, names.origin))?.trim();
  if (origin === undefined || origin === '') return undefined;
  checkPrivate(folder);
  const initialKey = initialKeyOnHost(folder);
  if (initialKey !== undefined) checkPrivate(initialKey);
  return { folder, origin, signing: SigningKeys.open(folder, origin) };
}

/** Makes all keys of a new log. `origin` is written last: without it the set-up counts as not done and starts again. */
export function createKeys(folder: string): Keys {
  makeFolder(folder);
  checkPrivate(folder);
  removeUnfinished(folder);
  const origin = newOrigin();
  const initialKey = randomBytes(32);
  const signing = SigningKeys.create(folder, origin);
  replaceFile(path.join(folder, names.initialKey), formatHmacKey(origin, initialKey));
  replaceFile(epochKeyPath(folder, 0), formatHmacKey(origin, initialKey));
  replaceFile(path.join(folder, names.head), formatHead(emptyHead(origin)));
  syncFolder(folder);
  replaceFileDurably(path.join(folder, names.origin), `${origin}\n`);
  return { folder, origin, signing };
}

/** What an earlier set-up left that was cut short: gone for good before anything new is written, so that never one of each is there. */
function removeUnfinished(folder: string): void {
  const left = [
    ...[names.initialKey, names.head, publicKeyFile].map((name) => path.join(folder, name)),
    ...storedEpochs(folder).map((epoch) => epochKeyPath(folder, epoch)),
  ].filter(isThere);
  if (left.length === 0) return;
  for (const file of left) fs.rmSync(file);
  syncFolder(folder);
}

/** `<host>/gatebook/<128 random bits>`: unique, without spaces or plus. */
function newOrigin(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '-')
    .slice(0, 100);
  return `${host === '' ? 'localhost' : host}/gatebook/${randomBytes(16).toString('hex')}`;
}

/** The path of the initial HMAC key while it still lies on this host: as long as it does, forward security is off. */
export function initialKeyOnHost(folder: string): string | undefined {
  const file = path.join(folder, names.initialKey);
  return isThere(file) ? file : undefined;
}

/** Overwrites and removes the initial HMAC key, once it lies elsewhere: from then on forward security is on. */
export function eraseInitialKey(folder: string): void {
  wipeFile(path.join(folder, names.initialKey));
  syncFolder(folder);
}

export function epochKeyPath(folder: string, epoch: number): string {
  return path.join(folder, `epoch-${epoch}.key`);
}

/** The epochs whose keys lie in the folder, lowest first: one, or two while a move was interrupted. */
export function storedEpochs(folder: string): number[] {
  return fs
    .readdirSync(folder)
    .map((name) => /^epoch-(0|[1-9][0-9]*)\.key$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

export function readEpochKey(keys: Keys, epoch: number): Buffer {
  const file = epochKeyPath(keys.folder, epoch);
  checkPrivate(file);
  // Asked for text, Node ends the whole process where closing the file fails.
  const { origin, key } = parseHmacKey(fs.readFileSync(file).toString('utf8'));
  if (origin !== keys.origin) {
    throw new AuditError('wrong_log', `${file} is a key of ${origin}, the log is ${keys.origin}`);
  }
  return key;
}

/** Makes the key of the next epoch durable, and returns it. The old one stays until `eraseEpochKey`. */
export function storeNextEpochKey(keys: Keys, epoch: number, key: Uint8Array): Buffer {
  const next = nextEpochKey(key, keys.origin);
  replaceFileDurably(epochKeyPath(keys.folder, epoch + 1), formatHmacKey(keys.origin, next));
  return next;
}

/** Overwrites and removes the key of an epoch that has ended. What a disk keeps besides is not in our hands. */
export function eraseEpochKey(keys: Keys, epoch: number): void {
  const file = epochKeyPath(keys.folder, epoch);
  wipeFile(file);
  // A repeated attempt may find it gone already, and only the folder left to sync.
  syncFolder(keys.folder);
}

export function readHead({ folder }: Pick<Keys, 'folder'>): Head {
  const file = path.join(folder, names.head);
  const text = readIfThere(file);
  if (text === undefined) {
    throw new AuditError(
      'keys_missing',
      `${file} is missing; restore the keys folder from a backup`,
    );
  }
  return parseHead(text);
}

/** Makes a new head durable. */
export function writeHead(keys: Keys, head: Head): void {
  replaceFileDurably(path.join(keys.folder, names.head), formatHead(head));
}

/** A verifier key from a file holding its one line. Throws `bad_key` naming the file. */
export async function readPublicKeyFile(file: string): Promise<string> {
  let text: string;
  try {
    text = await fs.promises.readFile(file, 'utf8');
  } catch (error) {
    throw new AuditError(
      'bad_key',
      `the public key file ${file} cannot be read: ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
  try {
    return parseVerifierKey(text).text;
  } catch (error) {
    throw new AuditError('bad_key', `${file}: ${reasonOf(error)}`, { cause: error });
  }
}
