import type { Load } from './plan.js';
import { names } from './ratelimit-names.js';

/** What a child process is asked to do, and what it answers; both cross as one line of JSON. */

export interface LogFolders {
  readonly dir: string;
  readonly keysDir: string;
}

export type ChildTask =
  | ({ readonly kind: 'append'; readonly records: number; readonly inFlight: number } & LogFolders)
  | ({ readonly kind: 'share'; readonly load: Load } & LogFolders)
  | ({ readonly kind: 'open' } & LogFolders)
  | ({ readonly kind: 'verify'; readonly auditor: boolean; readonly threads: number } & LogFolders)
  | ({
      readonly kind: 'prove';
      readonly seqs: readonly number[];
      readonly warmUps: number;
    } & LogFolders)
  | ({ readonly kind: 'gate-call'; readonly calls: number; readonly env: Variables } & LogFolders)
  | { readonly kind: 'decide'; readonly calls: number; readonly corpus: string }
  | ({ readonly kind: 'one-by-one'; readonly calls: number } & LogFolders)
  | { readonly kind: 'threads'; readonly threads: number }
  | { readonly kind: 'hash'; readonly files: readonly string[] }
  | { readonly kind: 'keys'; readonly keeper: Keeper; readonly sizes: readonly number[] };

/** Environment variables. */
export type Variables = Readonly<Record<string, string>>;

/** Microseconds, one a call, after the warm-up. */
export interface CallTimes {
  readonly us: readonly number[];
}

/** What a decision took, in microseconds: of a shell line, and of a call to a tool. */
export interface DecisionTimes {
  readonly shellUs: readonly number[];
  readonly toolUs: readonly number[];
}

/** Who keeps keys of a rate limit; gatebook first. */
export const keepers = [names.own, names.limiter, names.flexible, names.fastify] as const;
export type Keeper = (typeof keepers)[number];

/** What a key takes at each size. */
export interface KeyBytes {
  readonly bytesPerKey: readonly number[];
}

/** What one of several processes got done between the word to go and the end of its time. */
export interface Shared {
  readonly records: number;
  readonly ms: number;
  readonly cpuUs: number;
}

export interface Opened {
  /** From the call to its promise's resolution. */
  readonly ms: number;
}

export interface Verified {
  readonly verdict: string;
  readonly level: string;
  readonly records: number;
  readonly ms: number;
  readonly cpuMs: number;
  readonly peakBytes: number;
}

export interface Proved {
  /** The first proof in the process. */
  readonly coldMs: number;
  /** One a seq, after the warm-up. */
  readonly ms: readonly number[];
}

export interface Hashed {
  readonly bytes: number;
  readonly peakBytes: number;
}
