import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';

/** Checkpoints as C2SP signed notes (docs/format.md §6), made and taken apart. */

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

export interface Signer {
  readonly name: string;
  readonly key: KeyObject;
  /** `name+hash+key`. */
  readonly publicKey: string;
  /** The four bytes that begin its signatures. */
  readonly id: Buffer;
}

export function signer(name: string, key: KeyObject): Signer {
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  const material = Buffer.concat([Buffer.of(1), raw]);
  const id = keyId(name, material);
  return {
    name,
    key,
    id,
    publicKey: `${name}+${id.toString('hex')}+${material.toString('base64')}`,
  };
}

export function freshSigner(name: string): Signer {
  return signer(name, generateKeyPairSync('ed25519').privateKey);
}

export function keyId(name: string, material: Buffer): Buffer {
  return createHash('sha256').update(`${name}\n`).update(material).digest().subarray(0, 4);
}

export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

export function signatureLine(text: string, by: Signer): string {
  return packSignature(by.name, by.id, sign(null, Buffer.from(text), by.key));
}

export function packSignature(name: string, id: Buffer, signature: Buffer): string {
  return `— ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
}

export function note(text: string, ...signatures: readonly string[]): string {
  return `${text}\n${signatures.join('')}`;
}

export function signedCheckpoint(checkpoint: Checkpoint, by: Signer): string {
  const text = checkpointText(checkpoint);
  return note(text, signatureLine(text, by));
}

export interface ParsedNote extends Checkpoint {
  readonly text: string;
  readonly signature: string;
  readonly id: Buffer;
  readonly raw: Buffer;
}

/** A checkpoint as the log itself writes it: three lines and one signature. */
export function parseCheckpoint(bytes: Buffer | string): ParsedNote {
  const match = /^(([^\n]+)\n([0-9]+)\n([^\n]+)\n)\n(— [^ ]+ ([^\n]+)\n)$/.exec(bytes.toString());
  if (match === null) throw new Error('not a checkpoint with one signature');
  const [, text = '', origin = '', size, root = '', signature = '', packed = ''] = match;
  const blob = Buffer.from(packed, 'base64');
  return {
    text,
    origin,
    size: Number(size),
    root: Buffer.from(root, 'base64'),
    signature,
    id: blob.subarray(0, 4),
    raw: blob.subarray(4),
  };
}
