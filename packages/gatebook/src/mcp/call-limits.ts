import type { AuditEvent } from '@gatebook/audit';
import {
  type Grant,
  type Limit,
  Limiter,
  type LimitRequest,
  type Refusal,
} from '@gatebook/ratelimit';

/** The limits of one relay, and whether a call waits for them. */
export interface LimitOptions {
  readonly limits: readonly Limit[];
  /** How long a call waits at most; without it, it is refused at once. */
  readonly waitMs?: number | undefined;
}

/** What every recorded call has to pass. Where calls wait, they do so one after the other, in the order in which they came. */
export class CallLimits {
  readonly #limiter: Limiter;
  #waitMs: number | undefined;
  readonly #waiting = new Set<AbortController>();
  #isOver = false;
  #before: Promise<unknown> = Promise.resolve();

  constructor({ limits, waitMs }: LimitOptions) {
    this.#limiter = new Limiter({ limits });
    this.#waitMs = waitMs;
  }

  /** Rejects when the wait is given up; `giveUp` is aborted too when nobody needs to wait any more. */
  async take(request: LimitRequest, giveUp: AbortController): Promise<Grant | Refusal> {
    if (this.#waitMs === undefined) return this.#limiter.take(request);
    const deadline = performance.now() + this.#waitMs;
    if (this.#isOver) giveUp.abort(overReason);
    this.#waiting.add(giveUp);
    const mine = this.#before.then(() => {
      const timeoutMs = Math.max(0, deadline - performance.now());
      return this.#limiter.wait(request, { timeoutMs, signal: giveUp.signal });
    });
    this.#before = mine.catch(() => {});
    try {
      return await mine;
    } finally {
      this.#waiting.delete(giveUp);
    }
  }

  /** Puts other limits in the place of these. What was used of one that stays stays used; who waits goes on by the new ones. */
  change({ limits, waitMs }: LimitOptions): void {
    this.#limiter.setLimits(limits);
    this.#waitMs = waitMs;
  }

  /** Nobody needs to wait any more: the server or the client has gone. */
  end(): void {
    this.#isOver = true;
    for (const giveUp of this.#waiting) giveUp.abort(overReason);
  }
}

export const overReason = 'the server or the client ended';

/** For the model, which can act on it: which limit, and when to come back. */
export function refusalText({ by, limit, retryAfterMs, reason }: Refusal): string {
  const what = `limit \`${by}\` (${limit} at once)`;
  if (reason === 'never') return `${what} never lets this through`;
  if (!Number.isFinite(retryAfterMs)) return `${what} is used up, retry later`;
  return `${what} is used up, retry in ${seconds(retryAfterMs)}`;
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${Math.ceil(ms / 1_000)} s`;
}

/** The record of a call that a limit refused, in the place of its intent. */
export function limitedEvent(intent: AuditEvent, refusal: Refusal): AuditEvent {
  const { phase: _, ...action } = intent.action ?? {};
  const { by, limit, remaining, retryAfterMs, reason } = refusal;
  return {
    ...intent,
    eventType: 'rate_limit_hit',
    action: { ...action, allowed: false },
    result: { success: false, status: 'refused' },
    security: {
      policyViolation: true,
      rule: `limit.${by}`,
      reason: refusalText(refusal),
      rateLimitRemaining: remaining,
    },
    details: {
      ...intent.details,
      limit,
      limit_reason: reason,
      ...(Number.isFinite(retryAfterMs) ? { retry_after_ms: retryAfterMs } : {}),
    },
  };
}

/** The record of a call that waited for a limit and was given up before it was made. */
export function givenUpEvent(intent: AuditEvent, reason: string): AuditEvent {
  const { phase: _, ...action } = intent.action ?? {};
  return {
    ...intent,
    eventType: 'rate_limit_hit',
    action: { ...action, allowed: false },
    result: { success: false, status: 'refused' },
    security: { rule: 'limit.wait', reason },
    details: { ...intent.details, limit_reason: 'given_up' },
  };
}

/** What is left in the tightest limit, in the record of a call that passed. */
export function withRemaining(event: AuditEvent, remaining: number): AuditEvent {
  if (!Number.isFinite(remaining)) return event;
  return { ...event, security: { ...event.security, rateLimitRemaining: remaining } };
}
