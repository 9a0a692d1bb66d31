import { verify } from 'node:crypto';
import type { VerifierKey } from './checkpoint.js';

/**
 * What a signing key says about another, in the records `log.key_rotated` and `log.key_retired` (docs/format.md §6): whoever
 * can only append records cannot say it.
 */
export type KeyStatement = 'key-rotated' | 'key-retired';

/** The bytes that are signed. Their first line is no origin, so that they can never be taken for a checkpoint. */
export function keyStatement(kind: KeyStatement, previous: string, publicKey: string): Buffer {
  return Buffer.from(`gatebook/v1/${kind}\n${previous}\n${publicKey}\n`);
}

/** Whether `signature` (base64, as it stands in a record) is the statement's, by `signer`. */
export function checkKeyStatement(
  kind: KeyStatement,
  keys: { readonly previous: string; readonly publicKey: string },
  signature: string,
  signer: VerifierKey,
): boolean {
  const bytes = Buffer.from(signature, 'base64');
  if (bytes.length !== 64 || bytes.toString('base64') !== signature) return false;
  return verify(null, keyStatement(kind, keys.previous, keys.publicKey), signer.key, bytes);
}
