import { generateKeyPairSync, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  checkNote,
  parseNote,
  parseVerifierKey,
  type Signer,
  type VerifierKey,
} from './checkpoint.js';
import { isThere, readIfThere, replaceFile, replaceFileDurably, syncFolder } from './durable.js';
import { AuditError } from './errors.js';
import type { Head } from './head.js';
import { checkKeyStatement, keyStatement } from './key-statement.js';
import { openPassphrase, type PassphraseSource } from './passphrase.js';
import { wipeFile } from './private-file.js';
import {
  describeSource,
  type FileSource,
  openSigner,
  type SigningSource,
} from './signing-source.js';
import {
  firstKeyFile,
  formatSigningState,
  parseSigningState,
  type RetiredKey,
  type SigningEntry,
  signingFile,
} from './signing-state.js';
import { stringOf } from './verify-case.js';

/** A record about keys that the head does not cover. */
export interface KeyRecord {
  readonly type: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/**
 * What has to be done next about the keys, before any other record: `rotate` and `retire` write their record, `link` and
 * `settle` make the checkpoint that covers it last.
 */
export type KeyStep = 'rotate' | 'link' | 'retire' | 'settle';

export interface KeyRotationOptions {
  /**
   * Whether both keys go on signing until `retire` is called. Default: until every witness of the log has taken the new key;
   * in a log without witnesses the old key ends with the change.
   */
  readonly overlap?: boolean | undefined;
  /** Where the new key is. Default: one is made in the keys folder. */
  readonly source?: SigningSource | undefined;
  /** For a key that is made: encrypts it. */
  readonly passphrase?: PassphraseSource | undefined;
}

/** A change as it is carried out: whom it waits for is decided. */
export interface KeyChange extends Omit<KeyRotationOptions, 'overlap'> {
  readonly overlap: boolean | readonly string[];
}

interface Loaded {
  readonly entry: SigningEntry;
  readonly signer: Signer;
}

/** The newest public key, for whoever is to have it. */
export const publicKeyFile = 'public-key';

/**
 * The keys that sign: one, or two while one takes over from the other. The folder's `signing` file says what is meant
 * to happen, the head's signatures and the last record say how far it has come; so a change that was interrupted
 * anywhere is finished. docs/format.md §6.
 */
export class SigningKeys {
  readonly #folder: string;
  readonly #origin: string;
  #current: Loaded;
  #next: Loaded | undefined;
  #step: KeyStep | undefined;
  /** Which of the two must sign the next checkpoint. */
  #signing: 'current' | 'both' | 'next' = 'current';
  #retired: readonly RetiredKey[];

  private constructor(
    folder: string,
    origin: string,
    keys: { current: Loaded; next: Loaded | undefined; retired: readonly RetiredKey[] },
  ) {
    this.#folder = folder;
    this.#origin = origin;
    this.#current = keys.current;
    this.#next = keys.next;
    this.#retired = keys.retired;
  }

  /** Opens the keys that the folder names. Throws `keys_missing`, `keys_unsafe`, `bad_key`. */
  static open(folder: string, origin: string): SigningKeys {
    const { current, next, retired } = parseSigningState(
      readIfThere(path.join(folder, signingFile)),
    );
    const load = (entry: SigningEntry): Loaded => {
      const stated = entry.publicKey === undefined ? undefined : parseVerifierKey(entry.publicKey);
      const signer = openSigner(folder, origin, entry.source, stated);
      if (stated !== undefined && stated.text !== signer.publicKey.text) {
        throw new AuditError(
          'bad_key',
          `${describeSource(entry.source)} holds another signing key than the one whose public key is ${stated.text}; bring the right one`,
        );
      }
      return { entry, signer };
    };
    const later = next === undefined ? undefined : load(next);
    return new SigningKeys(folder, origin, { current: load(current), next: later, retired });
  }

  /** Makes the first key of a log where `signing` does not say that it is elsewhere, and notes which it is. */
  static create(folder: string, origin: string): SigningKeys {
    const { current } = parseSigningState(readIfThere(path.join(folder, signingFile)));
    const { source } = current;
    if (source.kind === 'file' && source.file === firstKeyFile) makeKeyFile(folder, source);
    const signer = openSigner(folder, origin, source);
    const keys = new SigningKeys(folder, origin, {
      current: { entry: { source }, signer },
      next: undefined,
      retired: [],
    });
    if (isThere(path.join(folder, signingFile))) keys.#save({ source }, undefined);
    replaceFile(path.join(folder, publicKeyFile), `${signer.publicKey.text}\n`, 0o644);
    return keys;
  }

  /** Those that sign the next checkpoint, the older one first. */
  get signers(): readonly Signer[] {
    if (this.#next === undefined || this.#signing === 'current') return [this.#current.signer];
    return this.#signing === 'both'
      ? [this.#current.signer, this.#next.signer]
      : [this.#next.signer];
  }

  /** Whether one of the signers is elsewhere, and may be away. */
  get remote(): boolean {
    return this.signers.some((signer) => signer.retry !== undefined);
  }

  /** A signer that failed a moment ago is asked again. */
  retry(): void {
    for (const { retry } of this.signers) retry?.();
  }

  /** All that may have signed the published checkpoint. */
  get publicKeys(): readonly VerifierKey[] {
    const { signer } = this.#current;
    return this.#next === undefined
      ? [signer.publicKey]
      : [signer.publicKey, this.#next.signer.publicKey];
  }

  /** All that may have signed a checkpoint of this size, for whoever cannot rely on the records to say so. */
  keysAt(size: number): readonly VerifierKey[] {
    const retired = this.#retired.filter(({ signedTo }) => signedTo >= size);
    return [...retired.map(({ publicKey }) => parseVerifierKey(publicKey)), ...this.publicKeys];
  }

  /** The newest key that the log has named. */
  get publicKey(): VerifierKey {
    return this.#signing === 'current' || this.#next === undefined
      ? this.#current.signer.publicKey
      : this.#next.signer.publicKey;
  }

  get step(): KeyStep | undefined {
    return this.#step;
  }

  /** Whether two keys sign. */
  get overlapping(): boolean {
    return this.#next !== undefined && this.#signing !== 'current';
  }

  /** The key whose acceptance by these witnesses ends the overlap; undefined when none is waited for. */
  get awaited():
    | { readonly publicKey: VerifierKey; readonly witnesses: readonly string[] }
    | undefined {
    const next = this.#next;
    const waits = next !== undefined && this.#signing === 'both' && this.#step === undefined;
    if (!waits || next.entry.overlap === undefined || typeof next.entry.overlap === 'boolean')
      return undefined;
    return { publicKey: next.signer.publicKey, witnesses: next.entry.overlap };
  }

  /**
   * Finds how far a change has come. `record` is the last record of the log when it is about keys, whether the head covers
   * it or not. Throws `log_damaged` when it is not what this folder has begun, `bad_key` when the key is not the head's.
   */
  resume(head: Head, covered: boolean, record: KeyRecord | undefined): void {
    const signed = this.#signersOf(head);
    if (signed === 'next') {
      this.#signing = 'next';
      this.#step = 'settle';
    } else if (this.#next !== undefined) {
      this.#signing = signed;
      this.#step = signed === 'current' ? 'rotate' : this.#retireStep();
    }
    if (record !== undefined && !covered) this.#check(record);
    if (record?.type === 'log.key_rotated' && this.#next !== undefined) {
      this.#signing = 'both';
      this.#step = 'link';
    } else if (record?.type === 'log.key_retired' && this.#next !== undefined) {
      this.#signing = 'next';
      this.#step = 'settle';
    }
  }

  #signersOf(head: Head): 'current' | 'both' | 'next' {
    if (head.size === 0) return 'current';
    const note = parseNote(Buffer.from(head.checkpoint));
    const signed = (key: VerifierKey | undefined): boolean =>
      key !== undefined && checkNote(note, [key]) === 'signed';
    const [current, next] = this.publicKeys;
    if (signed(current)) return signed(next) ? 'both' : 'current';
    if (signed(next)) return 'next';
    throw new AuditError(
      'bad_key',
      `the signing key from ${describeSource(this.#current.entry.source)} is not the one that signed the last checkpoint; pass the right key`,
    );
  }

  /** Who has the HMAC key could append such a record, and must not have it signed. */
  #check({ type, details }: KeyRecord): void {
    const keys = {
      previous: this.#current.signer.publicKey.text,
      publicKey: this.#next?.signer.publicKey.text ?? '',
    };
    const rotates = type === 'log.key_rotated';
    const signer = rotates ? this.#current.signer : this.#next?.signer;
    const rightful =
      signer !== undefined &&
      details['previous'] === keys.previous &&
      details['public_key'] === keys.publicKey &&
      this.#signing === (rotates ? 'current' : 'both') &&
      checkKeyStatement(
        rotates ? 'key-rotated' : 'key-retired',
        keys,
        stringOf(details['signature']) ?? '',
        signer.publicKey,
      );
    if (rightful) return;
    throw new AuditError(
      'log_damaged',
      `the last record of the log is a ${type} that this keys folder did not begin; somebody else appended it. Run gatebook audit verify`,
    );
  }

  #retireStep(): KeyStep | undefined {
    return this.#next?.entry.overlap ? undefined : 'retire';
  }

  /**
   * Makes the next key and notes that it is to take over. From here on an opening finishes what is begun. `overlap` may name
   * the witnesses whose acceptance ends it.
   */
  begin(options: KeyChange): void {
    if (this.#next !== undefined) {
      throw new AuditError(
        'bad_option',
        'two keys sign already; end that change first (gatebook keys retire)',
      );
    }
    const next = this.#makeKey(options);
    this.#save(this.#current.entry, next.entry);
    this.#next = next;
    this.#step = 'rotate';
  }

  #makeKey({ overlap, source, passphrase }: KeyChange): Loaded {
    const from = source ?? newKeyFile(this.#folder, passphrase);
    const signer = openSigner(this.#folder, this.#origin, from);
    if (signer.publicKey.hash === this.#current.signer.publicKey.hash) {
      throw new AuditError('bad_option', `${describeSource(from)} is the key that signs already`);
    }
    return { entry: { source: from, publicKey: signer.publicKey.text, overlap }, signer };
  }

  /** The older key ends as soon as it can. Throws `bad_option` when there is only one. */
  retire(): void {
    if (this.#next === undefined) {
      throw new AuditError('bad_option', 'only one key signs; there is none to retire');
    }
    const entry = { ...this.#next.entry, overlap: false };
    this.#save(this.#current.entry, entry);
    this.#next = { ...this.#next, entry };
    this.#step ??= 'retire';
  }

  /** What the record of a step says, signed by the key that may say it. */
  facts(step: 'rotate' | 'retire'): { previous: string; public_key: string; signature: string } {
    const previous = this.#current.signer.publicKey.text;
    const publicKey = this.#next!.signer.publicKey.text;
    const kind = step === 'rotate' ? 'key-rotated' : 'key-retired';
    const { signer } = step === 'rotate' ? this.#current : this.#next!;
    const signature = signer.sign(keyStatement(kind, previous, publicKey));
    return {
      previous,
      public_key: publicKey,
      signature: Buffer.from(signature).toString('base64'),
    };
  }

  /** The step is done and durable, with a checkpoint of `size` records. */
  done(step: KeyStep, size: number): void {
    switch (step) {
      case 'rotate':
        this.#signing = 'both';
        this.#step = 'link';
        break;
      case 'link':
        this.#writePublicKey(this.#next!);
        this.#step = this.#retireStep();
        break;
      case 'retire':
        this.#signing = 'next';
        this.#step = 'settle';
        break;
      default:
        this.#settle(this.#next!, size);
    }
  }

  #settle(next: Loaded, size: number): void {
    const { overlap: _, ...entry } = next.entry;
    this.#writePublicKey(next);
    // The last record, which the new key alone has signed for, is the one that retires the old key.
    const old = { publicKey: this.#current.signer.publicKey.text, signedTo: size - 1 };
    this.#retired = [...this.#retired, old];
    this.#save(entry, undefined);
    this.#current = { entry, signer: next.signer };
    this.#next = undefined;
    this.#signing = 'current';
    this.#step = undefined;
    this.wipeLeftovers();
  }

  #writePublicKey({ signer }: Loaded): void {
    replaceFileDurably(path.join(this.#folder, publicKeyFile), `${signer.publicKey.text}\n`, 0o644);
  }

  #save(current: SigningEntry, next: SigningEntry | undefined): void {
    const known = { ...current, publicKey: this.#current.signer.publicKey.text };
    const first = current.publicKey === undefined ? known : current;
    const text = formatSigningState({ current: first, next, retired: this.#retired });
    replaceFileDurably(path.join(this.#folder, signingFile), text);
  }

  /** Removes keys that an interrupted change left, or that have retired. */
  wipeLeftovers(): void {
    const used = [this.#current, this.#next].flatMap((key) =>
      key?.entry.source.kind === 'file' ? [path.resolve(this.#folder, key.entry.source.file)] : [],
    );
    const left = fs
      .readdirSync(this.#folder)
      .filter(
        (name) =>
          /^signing-key(-[0-9a-f]{8})?\.pem(\.tmp)?$/.test(name) &&
          !used.includes(path.join(this.#folder, name)),
      );
    for (const name of left) wipeFile(path.join(this.#folder, name));
    if (left.length > 0) syncFolder(this.#folder);
  }
}

/** Whether the signing key, or what opens it, is not in the keys folder itself. */
export function signingIsElsewhere(folder: string): boolean {
  const { current, next } = parseSigningState(readIfThere(path.join(folder, signingFile)));
  return [current, next].some(
    (entry) =>
      entry !== undefined &&
      (entry.source.kind !== 'file' ||
        entry.source.passphrase !== undefined ||
        path.basename(entry.source.file) !== entry.source.file),
  );
}

/** A file for a key that is made here, in the folder and named so that no other key has had it. */
function newKeyFile(folder: string, passphrase: PassphraseSource | undefined): FileSource {
  const file = `signing-key-${randomBytes(4).toString('hex')}.pem`;
  const source: FileSource = { kind: 'file', file, passphrase };
  makeKeyFile(folder, source);
  return source;
}

/** Makes a new key, encrypted where a passphrase is named; durable once the folder is synced. */
function makeKeyFile(folder: string, { file, passphrase }: FileSource): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  const secret =
    passphrase === undefined
      ? {}
      : { cipher: 'aes-256-cbc', passphrase: openPassphrase(passphrase, file) };
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8', ...secret });
  replaceFileDurably(path.join(folder, file), pem);
}
