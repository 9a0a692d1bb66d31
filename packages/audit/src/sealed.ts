import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/**
 * Sealing under a subject's key: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, under a key of its own for each
 * thing that is sealed, derived by HKDF-SHA256 (RFC 5869). docs/format.md §12.
 */

export interface Sealed {
  /** 12 bytes, base64. */
  readonly nonce: string;
  /** Ciphertext and the tag of 16 bytes, base64. */
  readonly data: string;
}

const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** What a derived key is for; parts of a label contain no newline. */
export type Label = readonly string[];

/** `bytes` derived from a subject's key for one purpose. */
export function derive(subjectKey: Uint8Array, label: Label, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', subjectKey, '', label.join('\n'), bytes));
}

/** Seals `plain` under the key derived for `label`, which is authenticated with it. */
export function seal(subjectKey: Uint8Array, label: Label, plain: Uint8Array): Sealed {
  const nonce = randomBytes(nonceBytes);
  const sealing = createCipheriv(cipher, derive(subjectKey, label, 32), nonce);
  sealing.setAAD(Buffer.from(label.join('\n')));
  const data = Buffer.concat([sealing.update(plain), sealing.final(), sealing.getAuthTag()]);
  return { nonce: nonce.toString('base64'), data: data.toString('base64') };
}

/** Reads what stands in a file for something sealed; undefined where it is none. */
export function parseSealed(text: string): Sealed | undefined {
  let value: Partial<Sealed> | null;
  try {
    value = JSON.parse(text) as Partial<Sealed> | null;
  } catch {
    return undefined;
  }
  const { nonce, data } = value ?? {};
  return typeof nonce === 'string' && typeof data === 'string' ? { nonce, data } : undefined;
}

/** What was sealed; undefined where the key, the label or a byte is another. */
export function unseal(subjectKey: Uint8Array, label: Label, sealed: Sealed): Buffer | undefined {
  const nonce = Buffer.from(sealed.nonce, 'base64');
  const data = Buffer.from(sealed.data, 'base64');
  if (nonce.length !== nonceBytes || data.length < tagBytes) return undefined;
  const end = data.length - tagBytes;
  const options = { authTagLength: tagBytes };
  const opening = createDecipheriv(cipher, derive(subjectKey, label, 32), nonce, options);
  opening.setAAD(Buffer.from(label.join('\n')));
  opening.setAuthTag(data.subarray(end));
  try {
    return Buffer.concat([opening.update(data.subarray(0, end)), opening.final()]);
  } catch {
    // The tag does not fit: nothing of it may be shown.
    return undefined;
  }
}
