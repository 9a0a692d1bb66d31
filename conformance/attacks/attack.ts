import type { Folder } from './folder.js';

export type Verdict =
  | 'ok'
  | 'tampered'
  | 'truncated'
  | 'rolled_back'
  | 'wrong_log'
  | 'missing'
  | 'unverifiable'
  | 'usage';

/** What the verifier has in hand: paths of files. */
export interface Brought {
  readonly level?: 'public' | 'auditor';
  readonly keys?: readonly string[];
  readonly hmacKey?: string;
  readonly held?: readonly string[];
  readonly strict?: boolean;
  /** A span: `30d`. */
  readonly minRetention?: string;
}

/** Where the first finding must point, as far as the guarantee names it. */
export interface Place {
  /** Path of the segment below the log folder. */
  readonly path?: string;
  readonly seq?: number;
  readonly offset?: number;
  readonly range?: readonly [number, number];
  /** A seq that the named range must hold, or that is named itself. */
  readonly around?: number;
  /** A file other than a segment. */
  readonly file?: string;
}

export interface Expected {
  readonly verdict: Verdict;
  /** Default: what the verdict stands for. */
  readonly exit?: 0 | 1 | 2 | 3;
  readonly pending?: number;
  readonly at?: Place;
}

/** One thing done to a log, one verifier that looks at it, and what it must say. */
export interface Attack {
  readonly name: string;
  /** What is left of the log folder. */
  folder(): Folder;
  readonly brought: Brought;
  readonly expected: Expected;
  /** What cannot be said with plain files. */
  disturb?(dir: string): Promise<void>;
}

export function exitOf({ verdict, exit }: Expected): 0 | 1 | 2 | 3 {
  if (exit !== undefined) return exit;
  if (verdict === 'ok') return 0;
  if (verdict === 'usage') return 2;
  return verdict === 'unverifiable' ? 3 : 1;
}
