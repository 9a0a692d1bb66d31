import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Signer } from './checkpoint.js';
import { AuditError, reasonOf } from './errors.js';
import { checkPrivate } from './private-file.js';
import { keySigner, parsePrivateKey } from './signer.js';

/** Where a signing key comes from. Says where a secret is, and never holds one. */
export interface FileSource {
  readonly kind: 'file';
  /** PKCS#8 PEM; relative to the keys folder. */
  readonly file: string;
}

export type SigningSource = FileSource;

/** Opens the key. Throws `keys_missing`, `keys_unsafe` or `bad_key`, naming the source and nothing of the key. */
export function openSigner(folder: string, origin: string, source: SigningSource): Signer {
  return openFile(folder, origin, source);
}

function openFile(folder: string, origin: string, source: FileSource): Signer {
  const file = path.resolve(folder, source.file);
  checkPrivate(file);
  let pem: Buffer;
  try {
    pem = fs.readFileSync(file);
  } catch (error) {
    throw new AuditError('keys_missing', `${file} cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return keySigner(origin, parsePrivateKey(pem, file));
}
