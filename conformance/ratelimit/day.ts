/** What a simulated day asks of a limiter of one limit a user. */
export interface DayLimiter {
  /** Sets the clock, which never goes back. */
  setTime(ms: number): void;
  take(user: string): { readonly allowed: boolean; readonly reason?: string | undefined };
  readonly keys: number;
}

/** Three at once, one more every six minutes: full again after 18. */
export const dayRate = { count: 10, perMs: 3_600_000, burst: 3 };
export const dayMs = 86_400_000;
const fullMs = (dayRate.burst * dayRate.perMs) / dayRate.count;
const stepMs = 60_000;
const atOnce = 4;

export interface DayReport {
  readonly decisions: number;
  /** Decisions about users of the sample, and those that were not what exact numbers say. */
  readonly compared: number;
  readonly wrong: number;
  /** For want of room. */
  readonly refusedForKeys: number;
  readonly keysMost: number;
  /** Users of all who had something lacking at one time, at most, worked out from when they came. */
  readonly limitingMost: number;
}

/**
 * A day on which `users` come, one after the other at even times: each takes four at once, of which one is refused. One in `every`
 * comes again twice, while its bucket is not full yet and when it just is, and what the limiter says to it is compared.
 */
export function liveADay(limiter: DayLimiter, users: number, every: number): DayReport {
  const later = new Map<number, string[]>();
  const exact = new Map<string, ExactBucket>();
  let decisions = 0;
  let compared = 0;
  let wrong = 0;
  let refusedForKeys = 0;
  let keysMost = 0;
  const take = (user: string, now: number, isSampled: boolean): void => {
    const { allowed, reason } = limiter.take(user);
    decisions++;
    if (reason === 'keys') refusedForKeys++;
    keysMost = Math.max(keysMost, limiter.keys);
    if (!isSampled) return;
    compared++;
    let bucket = exact.get(user);
    if (bucket === undefined) {
      bucket = new ExactBucket();
      exact.set(user, bucket);
    }
    // There is no room for a key only when it has nothing lacking: one that has is kept.
    if (reason === 'keys') wrong += bucket.isFull(now) ? 0 : 1;
    else if (bucket.take(now) !== allowed) wrong++;
  };
  let number = 0;
  for (let now = 0; now < dayMs + 2 * fullMs; now += stepMs) {
    limiter.setTime(now);
    for (const user of later.get(now) ?? [])
      for (let times = 0; times < atOnce; times++) take(user, now, true);
    later.delete(now);
    for (; number < users && number * (dayMs / users) <= now; number++) {
      const user = `user${String(number).padStart(8, '0')}`;
      const isSampled = number % every === 0;
      for (let times = 0; times < atOnce; times++) take(user, now, isSampled);
      if (!isSampled) continue;
      const visit = number / every;
      for (const steps of [1 + (visit % 17), 18 + (visit % 7)]) {
        const at = now + steps * stepMs;
        const who = later.get(at);
        if (who === undefined) later.set(at, [user]);
        else who.push(user);
      }
    }
  }
  // Who comes is lacking for 18 minutes, and those of the sample for up to 25 more.
  const perStep = (users / dayMs) * stepMs;
  const limitingMost = Math.ceil(perStep * (fullMs / stepMs + 1 + 25 / every));
  return { decisions, compared, wrong, refusedForKeys, keysMost, limitingMost };
}

/** One bucket in whole numbers: units of which `perMs` are a token and `count` come in every ms. */
class ExactBucket {
  #units = dayRate.burst * dayRate.perMs;
  #at = 0;

  take(now: number): boolean {
    this.#fill(now);
    if (this.#units < dayRate.perMs) return false;
    this.#units -= dayRate.perMs;
    return true;
  }

  isFull(now: number): boolean {
    this.#fill(now);
    return this.#units === dayRate.burst * dayRate.perMs;
  }

  #fill(now: number): void {
    const units = this.#units + (now - this.#at) * dayRate.count;
    this.#units = Math.min(units, dayRate.burst * dayRate.perMs);
    this.#at = now;
  }
}

/** Keeps as many keys as it may and forgets the oldest for a new one, limiting or not, as caches do. */
export class ForgetfulLimiter implements DayLimiter {
  readonly #most: number;
  readonly #buckets = new Map<string, ExactBucket>();
  #now = 0;

  constructor(most: number) {
    this.#most = most;
  }

  setTime(ms: number): void {
    this.#now = ms;
  }

  get keys(): number {
    return this.#buckets.size;
  }

  take(user: string): { readonly allowed: boolean } {
    let bucket = this.#buckets.get(user);
    if (bucket === undefined) {
      bucket = new ExactBucket();
      for (const oldest of this.#buckets.keys()) {
        if (this.#buckets.size < this.#most) break;
        this.#buckets.delete(oldest);
      }
      this.#buckets.set(user, bucket);
    }
    return { allowed: bucket.take(this.#now) };
  }
}
