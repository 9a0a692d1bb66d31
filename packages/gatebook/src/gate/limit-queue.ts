import { setTimeout as sleep } from 'node:timers/promises';
import type { Buckets } from './buckets.js';
import type { LimitAnswer, SharedRequest } from './state/message.js';

/** Between two tries, at least: what others took meanwhile is not known. */
const pauseMsMin = 5;
/** Where time alone does not say when: calls that are in flight end when they end. */
const pauseMsUntold = 50;

/**
 * Waits for the limits. The calls of one gate do so one after the other, in the order in which they came; among several gates there is no
 * order.
 */
export class LimitQueue {
  readonly #buckets: Buckets;
  #before: Promise<unknown> = Promise.resolve();

  constructor(buckets: Buckets) {
    this.#buckets = buckets;
  }

  /** The last answer once nothing can come of waiting longer; undefined when the signal ends the wait. */
  async take(
    request: SharedRequest,
    approval: string | undefined,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<LimitAnswer | undefined> {
    const deadline = performance.now() + waitMs;
    const mine = this.#before.then(() => this.#take(request, approval, deadline, signal));
    this.#before = mine.catch(() => undefined);
    return await mine;
  }

  async #take(
    request: SharedRequest,
    approval: string | undefined,
    deadline: number,
    signal: AbortSignal,
  ): Promise<LimitAnswer | undefined> {
    for (;;) {
      if (signal.aborted) return undefined;
      const answer = await this.#buckets.take(request, approval);
      const { allowed, reason, retryAfterMs } = answer;
      const isUntold = retryAfterMs === null && reason === 'limit';
      if (allowed || (retryAfterMs === null && !isUntold)) return answer;
      const pauseMs = Math.max(pauseMsMin, Math.ceil(retryAfterMs ?? pauseMsUntold));
      if (performance.now() + pauseMs > deadline) return answer;
      try {
        await sleep(pauseMs, undefined, { signal });
      } catch {
        return undefined;
      }
    }
  }
}
