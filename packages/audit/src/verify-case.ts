import type { Note, VerifierKey } from './checkpoint.js';
import type { FolderCheckpoints, Held } from './evidence.js';
import type { Hash } from './tree.js';
import type { Reading } from './verify-join.js';
import type { Level } from './verify-report.js';
import type { Demand } from './verify-witness.js';

/** All that a verdict is made of. */
export interface Case {
  readonly dir: string;
  readonly level: Level;
  readonly keys: readonly VerifierKey[];
  readonly hmac: { readonly origin: string } | undefined;
  readonly held: readonly Held[];
  readonly folder: FolderCheckpoints;
  readonly reading: Reading;
  readonly segments: number;
  readonly demand?: Demand | undefined;
}

/** A checkpoint that counts: signed by a known key, or this host's head. */
export interface Good {
  readonly name: string;
  readonly size: number;
  readonly root: Hash;
  readonly held: boolean;
  readonly note?: Note | undefined;
  /** When an anchor saw it, in ms. */
  readonly seenMs?: number | undefined;
}

/** A string member of a record's details, if it is one. */
export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
