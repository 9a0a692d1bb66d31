import { resolve } from 'node:path';
import type { PassphraseSource, SigningSource } from '@gatebook/audit';
import { InvalidArgumentError, Option } from 'commander';
import { secretVariable } from '../secret-variables.js';
import { usageError } from './failure.js';

/** Where a signing key and its passphrase are, as the command line says it: never the secret itself. */
export interface KeySourceFlags {
  /** Undefined: a key is made in the keys folder. */
  readonly signingKey?: Exclude<SigningSource, { kind: 'file' }> | { kind: 'file'; file: string };
  readonly passphrase?: PassphraseSource;
}

export function keySourceOptions(): Option[] {
  return [
    new Option(
      '--signing-key <source>',
      'file:PATH, env:GATEBOOK_SIGNING_…, or command:PROGRAM; default: made in the keys folder',
    ).argParser(signingKey),
    new Option(
      '--passphrase <source>',
      'of an encrypted signing key: file:PATH, env:GATEBOOK_SIGNING_…, or prompt',
    ).argParser(passphrase),
  ];
}

function signingKey(text: string): KeySourceFlags['signingKey'] {
  const [kind, value] = parts(text);
  if (kind === 'file' && value !== '') return { kind: 'file', file: resolve(value) };
  if (kind === 'env') return { kind: 'variable', variable: secret(value) };
  // A name without a slash is looked for on PATH, as a shell would.
  if (kind === 'command' && value !== '')
    return { kind: 'command', program: value.includes('/') ? resolve(value) : value };
  throw new InvalidArgumentError('Accepted: file:PATH, env:NAME, command:PROGRAM.');
}

function passphrase(text: string): PassphraseSource {
  const [kind, value] = parts(text);
  if (text === 'prompt') return { kind: 'terminal' };
  if (kind === 'file' && value !== '') return { kind: 'file', file: resolve(value) };
  if (kind === 'env') return { kind: 'variable', variable: secret(value) };
  throw new InvalidArgumentError('Accepted: file:PATH, env:NAME, prompt.');
}

function parts(text: string): readonly [string, string] {
  const colon = text.indexOf(':');
  return colon < 0 ? ['', text] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** Only such variables are kept from the commands that gatebook starts. */
function secret(name: string): string {
  if (secretVariable.test(name)) return name;
  throw new InvalidArgumentError('The variable’s name must begin with GATEBOOK_SIGNING_.');
}

/** Both options together, as the log takes them. */
export function keySourceOf(flags: KeySourceFlags): {
  readonly source?: SigningSource;
  readonly passphrase?: PassphraseSource;
} {
  const { signingKey: source, passphrase: secretFrom } = flags;
  if (source === undefined) return secretFrom === undefined ? {} : { passphrase: secretFrom };
  if (secretFrom === undefined) return { source };
  if (source.kind === 'command')
    throw usageError('--passphrase is not for a command, which keeps its own secrets');
  return { source: { ...source, passphrase: secretFrom } };
}
