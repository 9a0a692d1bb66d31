import type { PrunedRun } from './retention-judge.js';
import type { Hash } from './tree.js';
import type { Witnessed } from './verify-witness.js';

export type Verdict =
  | 'ok'
  | 'tampered'
  | 'truncated'
  | 'rolled_back'
  | 'wrong_log'
  | 'missing'
  | 'unverifiable';

/** `public`: structure, tree, signatures. `auditor`: the HMAC chain too. */
export type Level = 'public' | 'auditor';

/** One thing found; the first of a report explains its verdict. */
export interface Finding {
  readonly kind:
    | 'record'
    | 'fork'
    | 'tile'
    | 'torn'
    | 'repair'
    | 'tally'
    | 'range'
    | 'checkpoint'
    | 'origin'
    | 'key'
    | 'evidence'
    | 'empty';
  readonly reason: string;
  readonly segment?: string;
  readonly seq?: number;
  /** Byte offset in the segment or file. */
  readonly offset?: number;
  /** First seq and the seq behind the last. */
  readonly range?: readonly [number, number];
  readonly file?: string;
}

export interface VerifyReport {
  readonly verdict: Verdict;
  readonly level: Level;
  readonly origin?: string;
  /** Records in the folder, gaps counted. */
  readonly records: number;
  /** Everything below was checked against a signed root. */
  readonly size: number;
  readonly root?: Hash;
  /** Records behind `size`. */
  readonly pending: number;
  /** Where a policy was brought and met: how far its witnesses have seen the log, and when. */
  readonly witnessed?: Witnessed;
  readonly segments: number;
  /** Epochs that the records span. */
  readonly epochs: number;
  readonly forwardSecurity?: { readonly on: boolean; readonly initialKeyFile?: string };
  /** What the log itself deleted, as its own records say; with a verdict of `missing` some of it was not allowed. */
  readonly pruned: readonly PrunedRun[];
  readonly findings: readonly Finding[];
  /** Bytes of a write under way, or left by a crash, behind the last record. */
  readonly unfinishedBytes: number;
}

/** 0, 1 or 3, as the guarantees have it; 2 is for usage and not given here. */
export function verifyExitCode(report: VerifyReport, strict: boolean): 0 | 1 | 3 {
  if (report.verdict === 'unverifiable') return 3;
  if (report.verdict !== 'ok') return 1;
  // Under a policy a signature that counts is one that its witnesses have seen.
  const signed = report.witnessed?.size ?? report.records - report.pending;
  return strict && (report.pending > 0 || signed < report.records) ? 3 : 0;
}
