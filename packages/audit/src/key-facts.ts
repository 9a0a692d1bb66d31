import * as path from 'node:path';
import { parseVerifierKey } from './checkpoint.js';
import { readIfThere } from './durable.js';
import { AuditError } from './errors.js';
import { keyRecordTypes } from './key-history.js';
import { initialKeyOnHost } from './keys.js';
import type { ForwardSecurity } from './log.js';
import { findLine, parseRecord, readLines } from './reader.js';
import { describeSource } from './signing-source.js';
import { parseSigningState, signingFile } from './signing-state.js';
import type { LogRecord } from './stored-record.js';

/** A key of a log's history, as its records say; nothing here is verified. */
export interface KeyFacts {
  readonly publicKey: string;
  readonly since: { readonly seq: number; readonly timestamp: string };
  readonly retired?: { readonly seq: number; readonly timestamp: string };
  /** Where its private half is, for one that this host signs with. */
  readonly source?: string;
}

export interface LogKeys {
  readonly origin: string;
  /** Oldest first. */
  readonly keys: readonly KeyFacts[];
  readonly forwardSecurity: ForwardSecurity;
  /** What the first record says of the log that this one goes on from. */
  readonly previousLog?: unknown;
}

const keyRecordMark = Buffer.from('"event_type":"log.key_');

/**
 * The keys of a log and where they come from, read from its records and from the keys folder; reads the whole log. Throws
 * `not_found` when there is no log, `log_damaged` when what is there cannot be read.
 */
export async function logKeys(options: {
  readonly dir: string;
  readonly keysDir: string;
}): Promise<LogKeys> {
  const { dir, keysDir } = options;
  const first = findLine(dir, 0);
  if (first === undefined) throw new AuditError('not_found', `${dir} holds no log`);
  const opened = parseRecord(first.line);
  const { origin, public_key: publicKey, previous_log: previousLog } = opened.details ?? {};
  const keys: KeyFacts[] = [{ publicKey: String(publicKey), since: placeOf(opened) }];
  for await (const { line } of readLines(dir)) {
    if (line.includes(keyRecordMark)) takeRecord(keys, parseRecord(line));
  }
  const initialKey = initialKeyOnHost(keysDir);
  const sources = sourcesIn(keysDir, keys.at(-1)?.publicKey ?? '');
  return {
    origin: String(origin),
    keys: keys.map((key) => {
      const source = key.retired === undefined ? sources.get(key.publicKey) : undefined;
      return source === undefined ? key : { ...key, source };
    }),
    forwardSecurity:
      initialKey === undefined ? { on: true } : { on: false, initialKeyFile: initialKey },
    ...(previousLog === undefined ? {} : { previousLog }),
  };
}

function placeOf({ seq, timestamp }: LogRecord): KeyFacts['since'] {
  return { seq, timestamp };
}

function takeRecord(keys: KeyFacts[], record: LogRecord): void {
  if (!keyRecordTypes.has(record.event_type)) return;
  const { previous, public_key: publicKey } = record.details ?? {};
  if (record.event_type === 'log.key_rotated') {
    keys.push({ publicKey: String(publicKey), since: placeOf(record) });
    return;
  }
  const at = keys.findIndex((key) => key.publicKey === previous);
  if (at >= 0) keys[at] = { ...keys[at]!, retired: placeOf(record) };
}

/** Where each private key is that the keys folder knows of, by public key. */
function sourcesIn(keysDir: string, newest: string): ReadonlyMap<string, string> {
  const text = readIfThere(path.join(keysDir, signingFile));
  const own = readIfThere(path.join(keysDir, 'public-key'));
  if (own === undefined) return new Map();
  const { current, next } = parseSigningState(text);
  const entries = [current, next].filter((entry) => entry !== undefined);
  // Before another key was ever named, the one there is is the log's own.
  return new Map(
    entries.map(({ source, publicKey }) => [
      publicKey ?? (parseVerifierKey(own).text === newest ? newest : ''),
      describeSource(source),
    ]),
  );
}
