import type { Reason } from './meter.js';
import type { LimitRequest } from './request.js';

/** Something a limiter did, as plain data. */
export type LimitEvent =
  | {
      /** A limit refused a request; or would have, were it not in the shadow. */
      readonly kind: 'refused' | 'shadow-refused';
      readonly limit: string;
      readonly reason: Reason;
      /** Infinite if never, or when nobody can tell. */
      readonly retryAfterMs: number;
      readonly request: LimitRequest;
    }
  /** A new key was refused, since there was no room for it and none that could be forgotten. */
  | { readonly kind: 'keys'; readonly limit: string; readonly keys: number }
  | {
      readonly kind: 'blocked';
      readonly limit: string;
      readonly forMs: number;
      readonly request: LimitRequest;
    }
  /** Other limits are in force. */
  | { readonly kind: 'limits'; readonly limits: readonly string[] };

export type LimitListener = (event: LimitEvent) => void;

/** Tells a listener; what it throws must not stop a request from being answered, so it is a warning of the process, once. */
export function teller(listener: LimitListener): LimitListener {
  let hasWarned = false;
  return (event) => {
    try {
      listener(event);
    } catch (error) {
      if (hasWarned) return;
      hasWarned = true;
      const what = error instanceof Error ? error.message : String(error);
      process.emitWarning(`a listener to events of a rate limiter threw: ${what}`);
    }
  };
}

/** The members of a request, without whatever else the object has. */
export function plainRequest({ actor, channel, session, tool, cost }: LimitRequest): LimitRequest {
  return { actor, channel, session, tool, cost };
}
