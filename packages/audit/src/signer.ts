import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { type Signer, verifierKey } from './checkpoint.js';
import { AuditError } from './errors.js';

/** Signs with a private key that is in this process. */
export function keySigner(origin: string, key: KeyObject): Signer {
  return { publicKey: verifierKey(origin, key), sign: (message) => sign(null, message, key) };
}

/** Reads a PKCS#8 Ed25519 key in PEM. Throws `bad_key` naming `what`, and nothing of the key. */
export function parsePrivateKey(
  pem: string | Buffer,
  what: string,
  passphrase?: string | undefined,
): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(
      passphrase === undefined ? pem : { key: pem, format: 'pem', passphrase },
    );
  } catch {
    // What OpenSSL says may repeat some of what it could not read.
    throw new AuditError(
      'bad_key',
      passphrase === undefined
        ? `${what} is not a private key in PKCS#8 PEM`
        : `${what} is damaged, or its passphrase is another`,
    );
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new AuditError('bad_key', `${what} is not an Ed25519 key`);
  }
  return key;
}
