import { spawnSync } from 'node:child_process';
import { randomBytes, verify } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ed25519VerifierKey, type Signer, type VerifierKey } from './checkpoint.js';
import { isThere } from './durable.js';
import { AuditError, reasonOf } from './errors.js';
import { openPassphrase, type PassphraseSource } from './passphrase.js';
import { checkPrivate, checkSecretVariable } from './private-file.js';
import { keySigner, parsePrivateKey } from './signer.js';

/** Where a signing key comes from. Says where a secret is, and never holds one. */
export type SigningSource = FileSource | VariableSource | CommandSource;

export interface FileSource {
  readonly kind: 'file';
  /** PKCS#8 PEM; relative to the keys folder. */
  readonly file: string;
  /** For an encrypted key. */
  readonly passphrase?: PassphraseSource | undefined;
}

/** PKCS#8 PEM in an environment variable. */
export interface VariableSource {
  readonly kind: 'variable';
  readonly variable: string;
  readonly passphrase?: PassphraseSource | undefined;
}

/**
 * A program that has the key, or reaches whoever has: a KMS, a smart card. `PROGRAM public-key` prints the 32 bytes of the
 * Ed25519 public key in base64; `PROGRAM sign` reads the message on stdin and prints the 64 bytes of its signature in base64.
 */
export interface CommandSource {
  readonly kind: 'command';
  readonly program: string;
}

/** Opens the key. Throws `keys_missing`, `keys_unsafe`, `bad_key` or `signer_failed`, naming the source and nothing of the key. */
export function openSigner(
  folder: string,
  origin: string,
  source: SigningSource,
  publicKey?: VerifierKey,
): Signer {
  switch (source.kind) {
    case 'file':
      return keySigner(origin, readKeyFile(path.resolve(folder, source.file), source));
    case 'variable':
      return keySigner(origin, readVariable(source));
    default:
      return commandSigner(source, publicKey ?? askPublicKey(source, origin));
  }
}

/** In words, for people. */
export function describeSource(source: SigningSource): string {
  switch (source.kind) {
    case 'file':
      return `the file ${source.file}${source.passphrase === undefined ? '' : ' (encrypted)'}`;
    case 'variable':
      return `the environment variable ${source.variable}`;
    default:
      return `the program ${source.program}`;
  }
}

function readKeyFile(file: string, { passphrase }: FileSource): ReturnType<typeof parsePrivateKey> {
  if (!isThere(file)) {
    throw new AuditError(
      'keys_missing',
      `the signing key ${file} is missing; restore it, or, where it is lost for good, start a log that names this one (gatebook init --after)`,
    );
  }
  checkPrivate(file);
  let pem: Buffer;
  try {
    pem = fs.readFileSync(file);
  } catch (error) {
    throw new AuditError('keys_missing', `${file} cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return parsePrivateKey(pem, file, passphraseFor(pem.toString('latin1'), file, passphrase));
}

function readVariable({
  variable,
  passphrase,
}: VariableSource): ReturnType<typeof parsePrivateKey> {
  checkSecretVariable(variable);
  const pem = process.env[variable];
  if (pem === undefined || pem === '') {
    throw new AuditError(
      'keys_missing',
      `the signing key is not in the variable ${variable}; set it`,
    );
  }
  return parsePrivateKey(pem, variable, passphraseFor(pem, variable, passphrase));
}

function passphraseFor(
  pem: string,
  what: string,
  source: PassphraseSource | undefined,
): string | undefined {
  if (!pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----')) return undefined;
  if (source === undefined) {
    throw new AuditError(
      'bad_key',
      `${what} is encrypted, and it is not known where its passphrase is`,
    );
  }
  return openPassphrase(source, what);
}

const commandTimeoutMs = 10_000;
const commandBytesMax = 4_096;
/** After a failure nothing is asked for nine times as long as it took, so that a dead KMS costs a tenth of the time. */
const pauseFactor = 9;
const pauseMsMin = 1_000;

function commandSigner(source: CommandSource, publicKey: VerifierKey): Signer {
  let failure: { readonly until: number; readonly error: AuditError } | undefined;
  const sign = (message: Uint8Array): Uint8Array => {
    const began = performance.now();
    if (failure !== undefined && began < failure.until) throw failure.error;
    try {
      const signature = runProgram(source, 'sign', message, 64);
      if (!verify(null, message, publicKey.key, signature)) {
        throw failed(source, 'sign', 'what it printed is no signature of the log’s key');
      }
      failure = undefined;
      return signature;
    } catch (error) {
      if (!(error instanceof AuditError)) throw error;
      const now = performance.now();
      failure = { until: now + Math.max(pauseMsMin, (now - began) * pauseFactor), error };
      throw error;
    }
  };
  const retry = (): void => {
    failure = undefined;
  };
  return { publicKey, sign, retry };
}

function askPublicKey(source: CommandSource, origin: string): VerifierKey {
  const key = ed25519VerifierKey(origin, runProgram(source, 'public-key', new Uint8Array(), 32));
  // A key that it cannot sign with would be found out only when there is something to sign.
  commandSigner(source, key).sign(randomBytes(32));
  return key;
}

function runProgram(
  source: CommandSource,
  action: 'sign' | 'public-key',
  input: Uint8Array,
  bytes: number,
): Buffer {
  const ran = spawnSync(source.program, [action], {
    input,
    timeout: commandTimeoutMs,
    maxBuffer: commandBytesMax,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  if (ran.error !== undefined) throw failed(source, action, reasonOf(ran.error));
  if (ran.status !== 0) throw failed(source, action, `it ended with ${ran.status ?? ran.signal}`);
  const text = ran.stdout.toString('latin1').trim();
  const data = Buffer.from(text, 'base64');
  if (data.length !== bytes || data.toString('base64') !== text)
    throw failed(source, action, `it did not print ${bytes} bytes in base64`);
  return data;
}

function failed(source: CommandSource, action: string, reason: string): AuditError {
  return new AuditError('signer_failed', `${source.program} ${action}: ${reason}`);
}
