import { setTimeout as sleep } from 'node:timers/promises';
import type { Limit, LimitRequest, Member, RateLimit } from '@gatebook/ratelimit';
import type { Answer, Open, Subject } from './subject.js';

/**
 * Limiters as they are written at first, each wrong in one way that was found in one that people use. A case of `failures` that lets
 * its naive limiter through would show nothing.
 */

const allowed: Answer = { allowed: true, retryAfterMs: 0 };

/** What those that have no waiting of their own do: ask again and again. */
function subject(
  take: (request: LimitRequest) => Answer,
  rest: Partial<Pick<Subject, 'wait' | 'stepWall' | 'keys'>> = {},
): Subject {
  const poll: Subject['wait'] = async (request, { timeoutMs = 60_000 } = {}) => {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const answer = take(request);
      if (answer.allowed || performance.now() > end) return answer;
      await sleep(Math.min(answer.retryAfterMs, 25));
    }
  };
  return {
    take: async (request) => take(request),
    wait: poll,
    stepWall: async () => {},
    keys: async () => 0,
    close: async () => {},
    ...rest,
  };
}

function rated(limits: readonly Limit[]): RateLimit[] {
  return limits.filter(
    (limit): limit is RateLimit => limit.kind === undefined || limit.kind === 'rate',
  );
}

function burstOf({ burst, rate }: RateLimit): number {
  return burst ?? Math.max(1, rate.count);
}

/** A bucket for each key, filled by what the clock says has passed. */
class Buckets {
  readonly left = new Map<string, { tokens: number; at: number }>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  look(key: string, limit: RateLimit): number {
    const burst = burstOf(limit);
    const { tokens, at } = this.left.get(key) ?? { tokens: burst, at: this.#now() };
    return Math.min(burst, tokens + ((this.#now() - at) * limit.rate.count) / limit.rate.perMs);
  }

  take(key: string, limit: RateLimit, cost: number): Answer {
    const tokens = this.look(key, limit);
    if (tokens < cost)
      return {
        allowed: false,
        retryAfterMs: ((cost - tokens) * limit.rate.perMs) / limit.rate.count,
      };
    this.left.set(key, { tokens: tokens - cost, at: this.#now() });
    return allowed;
  }
}

function keyOf({ name, scope = [] }: RateLimit, request: LimitRequest): string {
  return JSON.stringify([name, ...scope.map((member: Member) => request[member])]);
}

function takingInTurn(limits: readonly Limit[], buckets: Buckets) {
  return (request: LimitRequest): Answer => {
    for (const limit of rated(limits)) {
      const answer = buckets.take(keyOf(limit, request), limit, request.cost ?? 1);
      if (!answer.allowed) return answer;
    }
    return allowed;
  };
}

/** One limit after the other, the widest first: what it took from them it keeps. */
export const chargesTheGlobalFirst: Open = async (limits) => {
  const buckets = new Buckets();
  const widestFirst = rated(limits).sort((a, b) => (a.scope?.length ?? 0) - (b.scope?.length ?? 0));
  return subject((request) => {
    for (const limit of widestFirst) {
      const answer = buckets.take(keyOf(limit, request), limit, request.cost ?? 1);
      if (!answer.allowed) return answer;
    }
    return allowed;
  });
};

/** Adds first, as `INCRBY` does, and looks then. */
export const chargesTheDenied: Open = async (limits) => {
  const used = new Map<string, number>();
  return subject((request) => {
    let answer = allowed;
    for (const limit of rated(limits)) {
      const key = keyOf(limit, request);
      const now = (used.get(key) ?? 0) + (request.cost ?? 1);
      used.set(key, now);
      if (now > burstOf(limit)) answer = { allowed: false, retryAfterMs: limit.rate.perMs };
    }
    return answer;
  });
};

/** Reserves the next free moment when a wait begins; nobody gives it back. */
export const keepsWhatWasAborted: Open = async (limits) => {
  const limit = rated(limits)[0]!;
  const perTokenMs = limit.rate.perMs / limit.rate.count;
  let next = performance.now() - burstOf(limit) * perTokenMs;
  const reserve = (cost: number): number => {
    const now = performance.now();
    next = Math.max(next, now - burstOf(limit) * perTokenMs) + cost * perTokenMs;
    return Math.max(0, next - now);
  };
  return subject(
    (request) => {
      const waitMs = next + (request.cost ?? 1) * perTokenMs - performance.now();
      if (waitMs > 0) return { allowed: false, retryAfterMs: waitMs };
      reserve(request.cost ?? 1);
      return allowed;
    },
    {
      wait: async (request, { signal } = {}) => {
        await sleep(reserve(request.cost ?? 1), undefined, { signal });
        return allowed;
      },
    },
  );
};

/** Gives to whoever comes at the right moment, whoever waits; a wait is a timer of its own. */
export const knowsNoQueue: Open = async (limits) => {
  const buckets = new Buckets();
  return subject(takingInTurn(limits, buckets));
};

/** Keeps every key that ever was. */
export const forgetsNothing: Open = async (limits) => {
  const buckets = new Buckets();
  const take = takingInTurn(limits, buckets);
  return subject(take, { keys: async () => buckets.left.size });
};

/** A window that a timer ends. */
export const endsWindowsByTimer: Open = async (limits) => {
  const used = new Map<string, number>();
  return subject((request) => {
    for (const limit of rated(limits)) {
      const key = keyOf(limit, request);
      const now = used.get(key) ?? 0;
      if (now >= burstOf(limit)) return { allowed: false, retryAfterMs: limit.rate.perMs };
      if (now === 0) setTimeout(() => used.delete(key), limit.rate.perMs).unref();
      used.set(key, now + 1);
    }
    return allowed;
  });
};

/** Goes by the time of day. */
export const goesByTheWallClock: Open = async (limits) => {
  let aheadMs = 0;
  const until = new Map<string, number>();
  const now = (): number => Date.now() + aheadMs;
  return subject(
    (request) => {
      for (const limit of rated(limits)) {
        const key = keyOf(limit, request);
        const waitMs = (until.get(key) ?? 0) - now();
        if (waitMs > 0) return { allowed: false, retryAfterMs: waitMs };
        until.set(key, now() + limit.rate.perMs / limit.rate.count);
      }
      return allowed;
    },
    {
      stepWall: async (ms) => {
        aheadMs += ms;
      },
    },
  );
};

/** Forgets the keys that were not used for longest. */
export const forgetsTheOldest: Open = async (limits) => {
  const buckets = new Buckets();
  return subject((request) => {
    for (const limit of rated(limits)) {
      const key = keyOf(limit, request);
      const answer = buckets.take(key, limit, request.cost ?? 1);
      if (!answer.allowed) return answer;
      const [oldest] = buckets.left.keys();
      if (buckets.left.size > (limit.maxKeys ?? 1_000) && oldest !== undefined)
        buckets.left.delete(oldest);
    }
    return allowed;
  });
};

/** Takes a 0 for nothing given, and counts in whole tokens. */
export const countsWholeOnly: Open = async (limits) => {
  const buckets = new Buckets();
  const whole = rated(limits).map((limit) => {
    const count = Math.floor(limit.rate.count) || 1;
    return { ...limit, rate: { ...limit.rate, count }, burst: burstOf(limit) || count };
  });
  return subject((request) => {
    for (const limit of whole) {
      const answer = buckets.take(keyOf(limit, request), limit, request.cost ?? 1);
      if (!answer.allowed) return answer;
    }
    return allowed;
  });
};

/** Joins names by colons; an actor is the usual thing, so it has no prefix. */
export const joinsByColons: Open = async (limits) => {
  const buckets = new Buckets();
  const named = (member: Member, value = ''): string =>
    member === 'actor' ? value : `${member}:${value}`;
  return subject((request) => {
    for (const limit of rated(limits)) {
      const key = (limit.scope ?? []).map((member) => named(member, request[member])).join(':');
      const answer = buckets.take(key, limit, request.cost ?? 1);
      if (!answer.allowed) return answer;
    }
    return allowed;
  });
};
