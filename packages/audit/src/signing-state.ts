import { AuditError } from './errors.js';
import type { SigningSource } from './signing-source.js';

/** The keys folder's `signing` file: where the signing key comes from, and the one that is to take over. No secrets. */
export const signingFile = 'signing';

export interface SigningEntry {
  readonly source: SigningSource;
  /** As it was when the entry was written; undefined in a folder that has never had another key. */
  readonly publicKey?: string | undefined;
  /** Of the next key: whether both sign until the older one is retired. */
  readonly overlap?: boolean | undefined;
}

export interface SigningState {
  readonly current: SigningEntry;
  readonly next?: SigningEntry;
}

/** Without the file, the key is the one made at the start. */
const usual: SigningState = { current: { source: { kind: 'file', file: 'signing-key.pem' } } };

export function formatSigningState({ current, next }: SigningState): string {
  const plain = ({ source, publicKey, overlap }: SigningEntry): object => ({
    source,
    public_key: publicKey,
    ...(overlap === true ? { overlap } : {}),
  });
  return `${JSON.stringify({ current: plain(current), ...(next === undefined ? {} : { next: plain(next) }) })}\n`;
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
  const { current, next } = membersOf(value, 'it');
  return {
    current: parseEntry(current, 'current'),
    ...(next === undefined ? {} : { next: parseEntry(next, 'next') }),
  };
}

function parseEntry(value: unknown, name: string): SigningEntry {
  const { source, public_key: publicKey, overlap } = membersOf(value, name);
  if (publicKey !== undefined && typeof publicKey !== 'string')
    throw damaged(`${name}.public_key is no text`);
  return {
    source: parseSource(source, `${name}.source`),
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(overlap === true ? { overlap } : {}),
  };
}

function parseSource(value: unknown, name: string): SigningSource {
  const { kind, file } = membersOf(value, name);
  if (kind === 'file' && typeof file === 'string' && file !== '') return { kind, file };
  throw damaged(`${name} is no source of a key`);
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
