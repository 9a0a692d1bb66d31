import type { Commitment, RiskLevel } from './event.js';

/** Text, or what stands for it. */
export type StoredContent = string | Commitment;

/** A record as it is stored; docs/format.md §2. A reader ignores members it does not know. */
export interface LogRecord {
  readonly seq: number;
  readonly timestamp: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly emitter: string;
  readonly actor?: {
    readonly channel?: string;
    readonly user_id?: string;
    readonly username?: StoredContent;
    readonly agent?: string;
    readonly ip?: StoredContent;
  };
  readonly session_id?: string;
  readonly call_id?: string;
  readonly source?: string;
  readonly action?: {
    readonly phase?: 'intent' | 'outcome';
    readonly tool?: string;
    readonly command?: StoredContent;
    readonly resource?: string;
    /** JSON text. */
    readonly arguments?: StoredContent;
    readonly risk_level?: RiskLevel;
    readonly approved?: boolean;
    readonly allowed?: boolean;
    readonly continues?: string;
  };
  readonly result?: {
    readonly success?: boolean;
    readonly status?: string;
    readonly exit_code?: number;
    readonly signal?: string;
    readonly duration_ms?: number;
    readonly error?: StoredContent;
    /** JSON text. */
    readonly output?: StoredContent;
  };
  readonly security?: {
    readonly policy_violation?: boolean;
    readonly rule?: string;
    readonly reason?: string;
    readonly rate_limit_remaining?: number;
    readonly sandbox?: string;
    readonly not_enforced?: readonly string[];
  };
  readonly details?: Readonly<Record<string, unknown>>;
  readonly trace?: { readonly trace_id?: string; readonly span_id?: string };
  readonly epoch: number;
  readonly prev_hash: string;
  readonly hash: string;
}
