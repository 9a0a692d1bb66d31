import * as path from 'node:path';
import { readIfThere } from './durable.js';
import { describeSource } from './signing-source.js';
import { parseSigningState, signingFile } from './signing-state.js';

/** Where the key is that a log signs with from now on. */
export interface HeldSource {
  readonly kind: 'file' | 'variable' | 'command';
  /** Absolute; of a file. */
  readonly file?: string;
  /** For people. */
  readonly words: string;
}

/** Reads it from the keys folder; undefined where nobody has set one up. Throws `bad_key` where it cannot be read. */
export function signingSource(keysDir: string): HeldSource | undefined {
  const text = readIfThere(path.join(keysDir, signingFile));
  if (text === undefined && readIfThere(path.join(keysDir, 'origin')) === undefined) {
    return undefined;
  }
  const { current, next } = parseSigningState(text);
  const { source } = next ?? current;
  const words = describeSource(source);
  if (source.kind !== 'file') return { kind: source.kind, words };
  return { kind: 'file', file: path.resolve(keysDir, source.file), words };
}
