/**
 * Why a call does not pass, or the gate cannot be used:
 *
 * - `denied`: the policy, or the person who was asked, does not let it pass
 * - `approval_pending`: a person was asked and has not answered yet; the same call passes once there is a yes
 * - `rate_limited`: a limit is used up, see `retryAfterMs`
 * - `breaker_open`: the session is stopped because it runs in a loop, see `retryAfterMs`
 * - `log_unavailable`: it could not be recorded
 * - `state_unavailable`: what the gates share could not be asked
 * - `cancelled`: it was given up before it was made
 * - `bad_arguments`: there is something in its arguments that JSON does not say, so nobody could judge it
 * - `too_many_limits`, `unknown_limits`, `bad_message`: what the gates share cannot be used like this
 * - `closed`: the gate was closed
 */
export type GateErrorCode =
  | 'denied'
  | 'approval_pending'
  | 'rate_limited'
  | 'breaker_open'
  | 'log_unavailable'
  | 'state_unavailable'
  | 'cancelled'
  | 'bad_arguments'
  | 'too_many_limits'
  | 'unknown_limits'
  | 'bad_message'
  | 'closed';

export interface GateErrorFacts {
  /** When the same call may pass; undefined where time alone changes nothing. */
  readonly retryAfterMs?: number | undefined;
  /** The limit, pattern or rule that decided. */
  readonly rule?: string | undefined;
  readonly cause?: unknown;
}

export class GateError extends Error {
  readonly code: GateErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly rule: string | undefined;

  constructor(code: GateErrorCode, message: string, facts: GateErrorFacts = {}) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.name = 'GateError';
    this.code = code;
    this.retryAfterMs = facts.retryAfterMs;
    this.rule = facts.rule;
  }
}
