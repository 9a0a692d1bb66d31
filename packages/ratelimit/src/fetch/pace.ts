import { onAbort } from '../abort-listeners.js';
import type { Clock } from '../clock.js';
import type { Limit } from '../limit.js';
import { Limiter } from '../limiter.js';
import type { Advice } from './advice.js';
import type { FetchPlan } from './options.js';

/** What is left of the rate after many refusals, so that it is found out when there are no more. */
const leastFactor = 1 / 64;
const raise = 0.1;
const firstBackoffMs = 1_000;

/**
 * How fast one origin is asked. A refusal halves the rate and the burst, and time without refusals raises them again by a tenth of the
 * whole: additive increase, multiplicative decrease, so that several clients of one server come to share what it has.
 */
export class Pace {
  readonly #plan: FetchPlan;
  readonly #clock: Clock;
  readonly #limiter: Limiter;
  #factor = 1;
  #changedAt = Number.NEGATIVE_INFINITY;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  /** What the server lets be sent until then. */
  #left = Number.POSITIVE_INFINITY;
  #leftUntil = Number.NEGATIVE_INFINITY;
  /** In a row. */
  #refusals = 0;
  /** Calls that wait for their turn or for a response. */
  #calls = 0;

  constructor(plan: FetchPlan) {
    this.#plan = plan;
    this.#clock = plan.clock;
    this.#limiter = new Limiter({
      limits: [this.#limit()],
      clock: plan.clock,
      maxWaiting: plan.maxWaiting,
    });
  }

  /** The part of the whole rate that is used. */
  get factor(): number {
    return this.#factor;
  }

  /** Whether nothing would be different if it were made anew. */
  get isIdle(): boolean {
    const now = this.#clock.now();
    const isPaused = this.#pausedUntil > now || this.#leftUntil > now;
    if (this.#calls > 0 || isPaused) return false;
    const recoveredMs = (this.#plan.recoverMs * (1 - this.#factor)) / raise;
    const { remaining, limit } = this.#limiter.peek({});
    return now - this.#changedAt >= recoveredMs && remaining >= Math.floor(limit);
  }

  /** Counts a call as long as it lasts. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    this.#calls++;
    try {
      return await call();
    } finally {
      this.#calls--;
    }
  }

  /** The ms for which nothing may be sent. */
  pauseMs(): number {
    const now = this.#clock.now();
    const spentMs = this.#left < 1 ? this.#leftUntil - now : 0;
    return Math.max(0, this.#pausedUntil - now, spentMs);
  }

  /**
   * Waits for the turn of a request. Returns the ms it would have to wait when that is later than `deadline`, else undefined.
   *
   * @throws the reason of the signal
   */
  async turn(deadline: number, signal: AbortSignal | undefined): Promise<number | undefined> {
    for (;;) {
      signal?.throwIfAborted();
      const pauseMs = this.pauseMs();
      const timeoutMs = deadline - this.#clock.now();
      if (pauseMs > timeoutMs) return pauseMs;
      if (pauseMs > 0) {
        await sleep(this.#clock, pauseMs, signal);
        continue;
      }
      const answer = await this.#limiter.wait({}, { signal, timeoutMs: Math.max(0, timeoutMs) });
      if (!answer.allowed) return answer.retryAfterMs;
      // Silence may have been asked for while it waited in line; its place there is not worth more than that.
      if (this.pauseMs() > 0) {
        answer.refund();
        continue;
      }
      this.#left--;
      return undefined;
    }
  }

  /** Takes a response to heart, to a request that was sent at `sentAt`. */
  told({ isRefusal, pauseMs, allowance }: Advice, sentAt: number): void {
    const now = this.#clock.now();
    const { maxPauseMs, recoverMs } = this.#plan;
    if (isRefusal) {
      this.#refusals++;
      // Those that were under way together are refused together, for one reason.
      if (sentAt > this.#changedAt) this.#change(Math.max(leastFactor, this.#factor / 2), now);
    } else {
      this.#refusals = 0;
      if (this.#factor < 1 && now - this.#changedAt >= recoverMs)
        this.#change(Math.min(1, this.#factor + raise), now);
    }
    const silentMs = pauseMs ?? (isRefusal ? this.#backoffMs() : 0);
    this.#pausedUntil = Math.max(this.#pausedUntil, now + Math.min(maxPauseMs, silentMs));
    if (allowance !== undefined) {
      this.#left = allowance.left;
      this.#leftUntil = now + Math.min(maxPauseMs, allowance.withinMs);
    }
  }

  /** Longer each time, and at random, so that those who were refused together do not come back together. */
  #backoffMs(): number {
    return firstBackoffMs * 2 ** (this.#refusals - 1) * (1 + this.#plan.random());
  }

  #change(factor: number, now: number): void {
    this.#factor = factor;
    this.#changedAt = now;
    this.#limiter.setLimits([this.#limit()]);
  }

  #limit(): Limit {
    const { rate, burst } = this.#plan;
    return {
      name: 'own',
      rate: { count: rate.count * this.#factor, perMs: rate.perMs },
      burst: Math.max(1, burst * this.#factor),
    };
  }
}

function sleep(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const deaf = onAbort(signal, () => {
      stop();
      reject(signal?.reason);
    });
    const stop = clock.wake(ms, () => {
      deaf();
      resolve();
    });
  });
}
