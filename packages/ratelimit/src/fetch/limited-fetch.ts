import { RateLimitError } from '../errors.js';
import { readAdvice } from './advice.js';
import { type FetchPlan, type LimitedFetchOptions, planOf } from './options.js';
import type { Pace } from './pace.js';
import { Paces } from './paces.js';
import { type Target, targetOf } from './target.js';

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/**
 * A `fetch` that asks each origin no faster than `rate`, and slower when the origin wants that: it keeps silent for as long as 429, 503
 * with `Retry-After`, `RateLimit` or the older fields say, and lowers its own rate with each refusal. A refused request is sent again
 * where that is safe and in time; otherwise the refusal is returned as it came. Redirects are followed by the `fetch` inside and count
 * for the origin that was asked.
 *
 * @throws RateLimitError `bad_option`, `bad_limit`; the calls reject with `not_sent` when a request would have to wait longer than `maxWaitMs`,
 *   and with the signal's reason when it is aborted
 */
export function limitedFetch(fetch: Fetch, options: LimitedFetchOptions): Fetch {
  const plan = planOf(options);
  const paces = new Paces(plan);
  let waiting = 0;
  return async (input, init) => {
    const target = targetOf(input, init);
    if (target === undefined) return await fetch(input, init);
    if (waiting >= plan.maxWaiting)
      throw notSent(target, `${waiting} calls wait already; raise maxWaiting or send fewer`);
    const pace = paces.of(plan.keyOf(target.url));
    if (pace === undefined) {
      throw notSent(
        target,
        `${plan.maxKeys} others are remembered, none of which can be forgotten yet; raise maxKeys`,
      );
    }
    const turn = async (deadline: number): Promise<void> => {
      waiting++;
      try {
        const lateMs = await pace.turn(deadline, target.signal);
        if (lateMs !== undefined) throw tooLate(target, plan, lateMs);
      } finally {
        waiting--;
      }
    };
    return await pace.during(() => send(() => fetch(input, init), target, plan, pace, turn));
  };
}

async function send(
  once: () => Promise<Response>,
  target: Target,
  plan: FetchPlan,
  pace: Pace,
  turn: (deadline: number) => Promise<void>,
): Promise<Response> {
  const { clock, maxRetries, maxWaitMs, mayRetry } = plan;
  const deadline = clock.now() + maxWaitMs;
  for (let retries = 0; ; retries++) {
    await turn(deadline);
    const sentAt = clock.now();
    const response = await once();
    const advice = readAdvice(response, clock.wall());
    pace.told(advice, sentAt);
    if (!advice.isRefusal || retries >= maxRetries) return response;
    if (!target.isReplayable || !mayRetry(target.method, target.url)) return response;
    if (clock.now() + pace.pauseMs() > deadline) return response;
    // Its connection is free for others meanwhile.
    await response.body?.cancel();
  }
}

function tooLate(target: Target, { maxWaitMs }: FetchPlan, lateMs: number): RateLimitError {
  const when = Number.isFinite(lateMs) ? `${Math.ceil(lateMs)} ms` : 'a time nobody can tell';
  return notSent(target, `it would have to wait ${when}; maxWaitMs is ${maxWaitMs} in all`);
}

/** The path and the query are left out: they may be secret. */
function notSent({ method, url }: Target, why: string): RateLimitError {
  return new RateLimitError('not_sent', `${method} ${url.origin} was not sent: ${why}`);
}
