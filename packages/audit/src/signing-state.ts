import { AuditError } from './errors.js';
import type { PassphraseSource } from './passphrase.js';
import type { SigningSource } from './signing-source.js';

/** The keys folder's `signing` file: where the signing key comes from, and the one that is to take over. No secrets. */
export const signingFile = 'signing';

export interface SigningEntry {
  readonly source: SigningSource;
  /** As it was when the entry was written; undefined in a folder that has never had another key. */
  readonly publicKey?: string | undefined;
  /** Of the next key: whether both sign until the older one is retired, or the names of the witnesses that must take it first. */
  readonly overlap?: boolean | readonly string[] | undefined;
}

/** A key that signs no more. */
export interface RetiredKey {
  readonly publicKey: string;
  /** Size of the largest checkpoint that it may have signed. */
  readonly signedTo: number;
}

export interface SigningState {
  readonly current: SigningEntry;
  readonly next?: SigningEntry | undefined;
  /** Oldest first. */
  readonly retired: readonly RetiredKey[];
}

/** The file of a key that was made at the start. */
export const firstKeyFile = 'signing-key.pem';

const usual: SigningState = {
  current: { source: { kind: 'file', file: firstKeyFile } },
  retired: [],
};

export function formatSigningState({ current, next, retired }: SigningState): string {
  const plain = ({ source, publicKey, overlap }: SigningEntry): object => ({
    source,
    public_key: publicKey,
    ...(overlap === undefined || overlap === false ? {} : { overlap }),
  });
  const state = {
    current: plain(current),
    ...(next === undefined ? {} : { next: plain(next) }),
    ...(retired.length === 0
      ? {}
      : {
          retired: retired.map(({ publicKey, signedTo }) => ({
            public_key: publicKey,
            signed_to: signedTo,
          })),
        }),
  };
  return `${JSON.stringify(state)}\n`;
}

/** Reads what `formatSigningState` wrote. Throws `bad_key` naming what is wrong. */
export function parseSigningState(text: string | undefined): SigningState {
  if (text === undefined) return usual;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged('it is not JSON');
  }
  const { current, next, retired = [] } = membersOf(value, 'it');
  if (!Array.isArray(retired)) throw damaged('retired is no list');
  return {
    current: parseEntry(current, 'current'),
    ...(next === undefined ? {} : { next: parseEntry(next, 'next') }),
    retired: retired.map(parseRetired),
  };
}

function parseRetired(value: unknown): RetiredKey {
  const { public_key: publicKey, signed_to: signedTo } = membersOf(value, 'retired');
  if (!isText(publicKey) || typeof signedTo !== 'number') throw damaged('retired names no key');
  return { publicKey, signedTo };
}

function parseEntry(value: unknown, name: string): SigningEntry {
  const { source, public_key: publicKey, overlap } = membersOf(value, name);
  if (publicKey !== undefined && typeof publicKey !== 'string')
    throw damaged(`${name}.public_key is no text`);
  return {
    source: parseSource(source, `${name}.source`),
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(isOverlap(overlap) ? { overlap } : {}),
  };
}

function isOverlap(value: unknown): value is true | readonly string[] {
  return value === true || (Array.isArray(value) && value.length > 0 && value.every(isText));
}

function parseSource(value: unknown, name: string): SigningSource {
  const { kind, file, variable, program, passphrase } = membersOf(value, name);
  const secret =
    passphrase === undefined
      ? {}
      : { passphrase: parsePassphrase(passphrase, `${name}.passphrase`) };
  if (kind === 'file' && isText(file)) return { kind, file, ...secret };
  if (kind === 'variable' && isText(variable)) return { kind, variable, ...secret };
  if (kind === 'command' && isText(program)) return { kind, program };
  throw damaged(`${name} is no source of a key`);
}

function parsePassphrase(value: unknown, name: string): PassphraseSource {
  const { kind, file, variable } = membersOf(value, name);
  if (kind === 'file' && isText(file)) return { kind, file };
  if (kind === 'variable' && isText(variable)) return { kind, variable };
  if (kind === 'terminal') return { kind };
  throw damaged(`${name} is no source of a passphrase`);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function membersOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged(`${name} is no object`);
  return value as Record<string, unknown>;
}

function damaged(reason: string): AuditError {
  return new AuditError(
    'bad_key',
    `the file ${signingFile} in the keys folder is damaged: ${reason}; restore it from a backup`,
  );
}
