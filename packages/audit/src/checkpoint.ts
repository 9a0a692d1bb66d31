import { isUtf8 } from 'node:buffer';
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { AuditError } from './errors.js';
import type { Hash } from './tree.js';

/**
 * C2SP signed notes and checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint) with Ed25519 keys, and the keys'
 * text forms.
 */

const ed25519 = 0x01;
// The DER of an Ed25519 SubjectPublicKeyInfo before its 32 key bytes, RFC 8410.
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
/** A larger file is no checkpoint: 16 signatures of the largest kind fit. */
export const noteBytesMax = 128 * 1024;
const signaturesMax = 64;

export interface VerifierKey {
  /** The key's name: the origin of its log. */
  readonly name: string;
  /** 8 hex digits. */
  readonly hash: string;
  readonly key: KeyObject;
  /** `name+hash+base64`, as the signed-note spec has it. */
  readonly text: string;
}

/** The first four bytes of SHA-256(name ‖ "\n" ‖ material), in hex; material is the signature type and the key. */
export function keyHash(name: string, material: Uint8Array): string {
  return createHash('sha256').update(`${name}\n`).update(material).digest('hex').slice(0, 8);
}

/** The verifier key of an Ed25519 key pair under a name, from its private or public half. */
export function verifierKey(name: string, pair: KeyObject): VerifierKey {
  const key = pair.type === 'public' ? pair : createPublicKey(pair);
  const material = Buffer.concat([Buffer.of(ed25519), ed25519Raw(key)]);
  const hash = keyHash(name, material);
  return { name, hash, key, text: `${name}+${hash}+${material.toString('base64')}` };
}

/** The verifier key of the 32 bytes of an Ed25519 public key, RFC 8032. */
export function ed25519VerifierKey(name: string, raw: Uint8Array): VerifierKey {
  const der = Buffer.concat([spkiPrefix, raw]);
  return verifierKey(name, createPublicKey({ key: der, format: 'der', type: 'spki' }));
}

/** Reads `name+hash+base64(0x01 ‖ key)`. Throws `bad_key`. */
export function parseVerifierKey(text: string): VerifierKey {
  const line = text.trim();
  const first = line.indexOf('+');
  const second = line.indexOf('+', first + 1);
  if (first < 1 || second < 0 || /\s/u.test(line)) {
    throw new AuditError('bad_key', 'not a public key in signed-note form: expected name+hash+key');
  }
  const name = line.slice(0, first);
  const material = Buffer.from(line.slice(second + 1), 'base64');
  if (material.length !== 33 || material[0] !== ed25519) {
    throw new AuditError('bad_key', `the public key of ${name} is not an Ed25519 key`);
  }
  const hash = keyHash(name, material);
  if (
    hash !== line.slice(first + 1, second) ||
    material.toString('base64') !== line.slice(second + 1)
  ) {
    throw new AuditError(
      'bad_key',
      `the public key of ${name} does not match its own hash; it was mistyped`,
    );
  }
  return { name, hash, key: ed25519PublicKey(material.subarray(1)), text: line };
}

/** An Ed25519 public key from its 32 bytes, RFC 8032. */
export function ed25519PublicKey(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
}

/** The 32 bytes of an Ed25519 key pair's public half. */
export function ed25519Raw(pair: KeyObject): Buffer {
  const key = pair.type === 'public' ? pair : createPublicKey(pair);
  return key.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
}

export interface NoteSignature {
  readonly name: string;
  readonly hash: string;
  readonly signature: Buffer;
}

export interface Note {
  /** The signed text, with its last newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Reads a signed note. Throws `bad_checkpoint` saying what is wrong with it. */
export function parseNote(bytes: Uint8Array): Note {
  const bad = (reason: string): AuditError =>
    new AuditError('bad_checkpoint', `not a signed note: ${reason}`);
  if (bytes.length > noteBytesMax) throw bad(`larger than ${noteBytesMax} bytes`);
  if (!isUtf8(bytes)) throw bad('not UTF-8');
  const whole = Buffer.from(bytes).toString('utf8');
  if (/[\u0000-\u0009\u000b-\u001f]/.test(whole)) throw bad('it holds a control character');
  const split = whole.lastIndexOf('\n\n');
  if (split < 0) throw bad('there is no blank line before the signatures');
  if (!whole.endsWith('\n')) throw bad('it does not end in a newline');
  const lines = whole.slice(split + 2, -1).split('\n');
  if (lines.length > signaturesMax) throw bad(`more than ${signaturesMax} signatures`);
  const signatures = lines.map((line) => {
    const signature = parseSignatureLine(line);
    if (signature === undefined) throw bad('a signature line is not "— name base64"');
    return signature;
  });
  return { text: whole.slice(0, split + 1), signatures };
}

/** One signature line without its newline; undefined when it is none. */
export function parseSignatureLine(line: string): NoteSignature | undefined {
  const match = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line);
  const packed = Buffer.from(match?.[2] ?? '', 'base64');
  if (!match || packed.length < 5 || packed.toString('base64') !== match[2]) return undefined;
  return {
    name: match[1]!,
    hash: packed.subarray(0, 4).toString('hex'),
    signature: packed.subarray(4),
  };
}

/** A signature as its line, with the newline. */
export function formatSignatureLine({ name, hash, signature }: NoteSignature): string {
  const packed = Buffer.concat([Buffer.from(hash, 'hex'), signature]);
  return `— ${name} ${packed.toString('base64')}\n`;
}

/** A note as its bytes are written: text, blank line, signatures. */
export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(formatSignatureLine).join('')}`;
}

/**
 * Whether a note is signed by one of these keys: `signed` when at least one signature is by a known key and all such
 * are good, `broken` when one of them is not, `unknown` when there is none.
 */
export function checkNote(
  note: Note,
  keys: readonly VerifierKey[],
): 'signed' | 'broken' | 'unknown' {
  let state: 'signed' | 'unknown' = 'unknown';
  for (const { name, hash, signature } of note.signatures) {
    const known = keys.find((key) => key.name === name && key.hash === hash);
    if (known === undefined) continue;
    if (signature.length !== 64) return 'broken';
    if (!verify(null, Buffer.from(note.text), known.key, signature)) return 'broken';
    state = 'signed';
  }
  return state;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
}

/** The three lines of a checkpoint. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const root = Buffer.from(checkpoint.root, 'hex').toString('base64');
  return `${checkpoint.origin}\n${checkpoint.size}\n${root}\n`;
}

/**
 * Reads a note's text as a checkpoint. Throws `bad_checkpoint`. A log of ours has no extension lines; a witness, which
 * says nothing about them, takes other logs' with `extensions`.
 */
export function parseCheckpointText(text: string, extensions = false): Checkpoint {
  const bad = (reason: string): AuditError =>
    new AuditError('bad_checkpoint', `not a checkpoint: ${reason}`);
  const [origin, sizeText, rootText, rest, ...more] = text.split('\n');
  if (origin === undefined || origin === '') throw bad('there is no origin');
  if (sizeText === undefined || !/^(0|[1-9][0-9]*)$/.test(sizeText))
    throw bad('the size is no number');
  const size = Number(sizeText);
  if (!Number.isSafeInteger(size)) throw bad('the size is beyond 2^53-1');
  const root = Buffer.from(rootText ?? '', 'base64');
  if (root.length !== 32 || root.toString('base64') !== rootText)
    throw bad('the root is not 32 bytes of base64');
  const lines = [rest, ...more];
  if (lines.at(-1) !== '' || lines.slice(0, -1).includes('')) throw bad('it has an empty line');
  if (!extensions && lines.length > 1) throw bad('it has extension lines');
  return { origin, size, root: root.toString('hex') };
}

/** Signs with one Ed25519 key (RFC 8032) under a log's name. The writer's thread waits for it. */
export interface Signer {
  readonly publicKey: VerifierKey;
  /** The 64 bytes of the signature over `message`. Throws an AuditError when the key cannot be used. */
  sign(message: Uint8Array): Uint8Array;
  /** Where somebody else signs, who may be away: asks again at the next call, however short ago it failed. */
  readonly retry?: () => void;
}

/** A checkpoint as a note, signed by each of these in their order. */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly Signer[]): string {
  const text = formatCheckpoint(checkpoint);
  const signatures = signers.map(({ publicKey: { name, hash }, sign }) => ({
    name,
    hash,
    signature: Buffer.from(sign(Buffer.from(text))),
  }));
  return formatNote({ text, signatures });
}
