import type { GateErrorCode } from './errors.js';

/** A call that may not be made, and what is recorded already. */
export interface Refused {
  readonly allowed: false;
  readonly code: GateErrorCode;
  /** For the model: why, and what to do. */
  readonly reason: string;
  readonly rule?: string | undefined;
  /** When the same call may pass; undefined where time alone changes nothing. */
  readonly retryAfterMs?: number | undefined;
}

export function refused(
  code: GateErrorCode,
  reason: string,
  facts: { readonly rule?: string | undefined; readonly retryAfterMs?: number | undefined } = {},
): Refused {
  return { allowed: false, code, reason, ...facts };
}
