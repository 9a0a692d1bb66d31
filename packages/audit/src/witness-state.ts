import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  type Checkpoint,
  formatNote,
  type Note,
  noteBytesMax,
  parseCheckpointText,
  parseNote,
} from './checkpoint.js';
import { type CosignerKey, cosignerKey, findCosignature } from './cosignature.js';
import { isThere, makeFolder, readIfThere, readRegular, replaceFileDurably } from './durable.js';
import { AuditError, reasonOf } from './errors.js';

/**
 * What a witness must never lose: its key and the latest checkpoint it cosigned of each log. One that has lost them
 * must not sign again under the same key, for it could contradict itself.
 */

export interface WitnessKey {
  readonly privateKey: KeyObject;
  readonly publicKey: CosignerKey;
}

/** The latest checkpoint cosigned of one log, with the log's signatures and ours. */
export interface Seen {
  readonly note: Note;
  readonly checkpoint: Checkpoint;
}

const keyFile = 'signing-key.pem';
const nameFile = 'public-key';
const originsFolder = 'origins';
const latestFile = 'checkpoint';

/** Hex SHA-256 of an origin: its name in a witness's monitoring paths and state folder. */
export function originHash(origin: string): string {
  return createHash('sha256').update(origin).digest('hex');
}

/**
 * Takes up the key in a state folder, or makes one at first use. `name` is needed then, and may later be left out.
 * Throws `keys_missing`, `keys_unsafe`, `bad_key`, `bad_option`.
 */
export function openWitnessKey(folder: string, name: string | undefined): WitnessKey {
  const text = readIfThere(path.join(folder, nameFile))?.trim();
  if (text === undefined) return makeWitnessKey(folder, name);
  const pem = path.join(folder, keyFile);
  const stat = fs.statSync(pem, { throwIfNoEntry: false });
  if (stat === undefined) throw new AuditError('keys_missing', `${pem} is missing; restore it`);
  if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) {
    throw new AuditError('keys_unsafe', `${pem} is open to other users; run chmod go-rwx on it`);
  }
  const privateKey = createPrivateKey(fs.readFileSync(pem));
  const own = text.slice(0, text.indexOf('+'));
  const publicKey = cosignerKey(own, privateKey);
  if (publicKey.text !== text) {
    throw new AuditError('bad_key', `${pem} is not the key that ${nameFile} beside it is of`);
  }
  if (name !== undefined && name !== own) {
    throw new AuditError('bad_option', `the witness in ${folder} is called ${own}, not ${name}`);
  }
  if (!isThere(path.join(folder, originsFolder))) {
    throw new AuditError(
      'keys_missing',
      `${folder} has lost its ${originsFolder}, that is, what this key has signed; restore them, or make a witness with a new key`,
    );
  }
  return { privateKey, publicKey };
}

/** The public key is written last: without it the set-up counts as not done and starts again. */
function makeWitnessKey(folder: string, name: string | undefined): WitnessKey {
  if (name === undefined) {
    throw new AuditError('bad_option', 'a new witness needs a name', { member: 'name' });
  }
  if (name === '' || /[\s+\p{Cc}]/u.test(name) || Buffer.byteLength(name) > 255) {
    throw new AuditError('bad_option', 'the name must be a text without spaces and +', {
      member: 'name',
    });
  }
  makeFolder(folder);
  makeFolder(path.join(folder, originsFolder));
  const { privateKey } = generateKeyPairSync('ed25519');
  const publicKey = cosignerKey(name, privateKey);
  replaceFileDurably(
    path.join(folder, keyFile),
    privateKey.export({ format: 'pem', type: 'pkcs8' }),
  );
  replaceFileDurably(path.join(folder, nameFile), `${publicKey.text}\n`, 0o644);
  return { privateKey, publicKey };
}

/** What was cosigned last for an origin. Throws `log_damaged` when the file is not what this witness wrote. */
export function readSeen(folder: string, origin: string, key: CosignerKey): Seen | undefined {
  const file = path.join(folder, originsFolder, originHash(origin), latestFile);
  const damaged = (reason: string): AuditError =>
    new AuditError('log_damaged', `${file} is not what this witness cosigned: ${reason}`);
  const bytes = readRegular(file, noteBytesMax);
  if (bytes === undefined) return undefined;
  let seen: Seen;
  try {
    const note = parseNote(bytes);
    seen = { note, checkpoint: parseCheckpointText(note.text, true) };
  } catch (error) {
    throw damaged(reasonOf(error));
  }
  if (seen.checkpoint.origin !== origin) throw damaged(`it is of ${seen.checkpoint.origin}`);
  if (typeof findCosignature(seen.note, key) === 'string') throw damaged('it is not signed');
  return seen;
}

/** Makes a cosigned checkpoint the latest, durably; only then may the cosignature leave. */
export function writeSeen(folder: string, { note, checkpoint }: Seen): void {
  const own = path.join(folder, originsFolder, originHash(checkpoint.origin));
  makeFolder(own);
  replaceFileDurably(path.join(own, latestFile), formatNote(note));
}
