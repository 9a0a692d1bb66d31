import { type KeyObject, sign, verify } from 'node:crypto';
import {
  ed25519PublicKey,
  ed25519Raw,
  keyHash,
  type Note,
  type NoteSignature,
} from './checkpoint.js';
import { AuditError } from './errors.js';

/**
 * Timestamped cosignatures of checkpoints by witnesses (c2sp.org/tlog-cosignature): Ed25519, `cosignature/v1`. Keys
 * of ML-DSA-44 cosigners are read, so that a policy may name them, but their signatures cannot be checked here.
 */

const ed25519Type = 0x04;
const mlDsa44Type = 0x06;
const mlDsa44Bytes = 1312;
const timestampBytes = 8;

export interface CosignerKey {
  readonly name: string;
  /** 8 hex digits. */
  readonly hash: string;
  /** Undefined for a kind of key whose signatures cannot be checked here. */
  readonly key: KeyObject | undefined;
  /** `name+hash+base64(type ‖ key)`. */
  readonly text: string;
}

/** The key of an Ed25519 cosigner under a name, from its key pair. */
export function cosignerKey(name: string, pair: KeyObject): CosignerKey {
  const raw = ed25519Raw(pair);
  const material = Buffer.concat([Buffer.of(ed25519Type), raw]);
  const hash = keyHash(name, material);
  const text = `${name}+${hash}+${material.toString('base64')}`;
  return { name, hash, key: ed25519PublicKey(raw), text };
}

/** Reads a cosigner's verifier key (signature type 0x04, or 0x06 for ML-DSA-44). Throws `bad_key`. */
export function parseCosignerKey(text: string): CosignerKey {
  const line = text.trim();
  const [name = '', hash, ...rest] = line.split('+');
  const encoded = rest.join('+');
  const material = Buffer.from(encoded, 'base64');
  const bad = (reason: string): AuditError =>
    new AuditError('bad_key', `not a witness's key: ${reason}`);
  if (name === '' || hash === undefined || rest.length === 0 || /\s/u.test(line)) {
    throw bad('expected name+hash+key');
  }
  if (material.toString('base64') !== encoded || keyHash(name, material) !== hash) {
    throw bad(`the key of ${name} does not match its own hash; it was mistyped`);
  }
  if (material[0] === mlDsa44Type && material.length === 1 + mlDsa44Bytes) {
    return { name, hash, key: undefined, text: line };
  }
  if (material[0] !== ed25519Type || material.length !== 33) {
    throw bad(`the key of ${name} is not of signature type 4 (Ed25519 cosignature)`);
  }
  return { name, hash, key: ed25519PublicKey(material.subarray(1)), text: line };
}

/** Whether two keys wrap the same public key, under whatever names. */
export function sameCosigner(a: CosignerKey, b: CosignerKey): boolean {
  return materialOf(a) === materialOf(b);
}

function materialOf({ text }: CosignerKey): string {
  return text.split('+').slice(2).join('+');
}

function signedMessage(text: string, seconds: bigint): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);
}

/** Cosigns a checkpoint's text as of a time in whole seconds since 1970, at least 1. */
export function cosign(
  text: string,
  seconds: number,
  cosigner: CosignerKey,
  privateKey: KeyObject,
): NoteSignature {
  if (!Number.isSafeInteger(seconds) || seconds < 1) {
    throw new RangeError(`a cosignature cannot be of the time ${seconds}`);
  }
  const time = Buffer.alloc(timestampBytes);
  time.writeBigUInt64BE(BigInt(seconds));
  const signature = sign(null, signedMessage(text, BigInt(seconds)), privateKey);
  return {
    name: cosigner.name,
    hash: cosigner.hash,
    signature: Buffer.concat([time, signature]),
  };
}

/** The time of a cosignature in seconds, when it is a good one of this key over this text. */
export function cosignatureTime(
  text: string,
  { signature }: NoteSignature,
  cosigner: CosignerKey,
): number | undefined {
  if (cosigner.key === undefined || signature.length !== timestampBytes + 64) return undefined;
  const seconds = signature.readBigUInt64BE(0);
  // A log's checkpoint is witnessed as of a time; zero is kept for statements without one.
  if (seconds === 0n || seconds > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  const message = signedMessage(text, seconds);
  if (!verify(null, message, cosigner.key, signature.subarray(timestampBytes))) return undefined;
  return Number(seconds);
}

/** What a note carries of one cosigner: the newest time, nothing, or a line in its name that does not hold. */
export type Cosigned = { readonly seconds: number } | 'absent' | 'broken';

export function findCosignature(note: Note, cosigner: CosignerKey): Cosigned {
  if (cosigner.key === undefined) return 'absent';
  let newest: number | undefined;
  for (const line of note.signatures) {
    if (line.name !== cosigner.name || line.hash !== cosigner.hash) continue;
    const seconds = cosignatureTime(note.text, line, cosigner);
    if (seconds === undefined) return 'broken';
    newest = Math.max(newest ?? 0, seconds);
  }
  return newest === undefined ? 'absent' : { seconds: newest };
}
