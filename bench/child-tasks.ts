import type { Load } from './plan.js';

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
  | { readonly kind: 'hash'; readonly files: readonly string[] };

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
