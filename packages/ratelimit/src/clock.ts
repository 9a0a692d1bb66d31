/** Where a limiter has its time from, and how it is woken. */
export interface Clock {
  /** Ms, never going back; where they begin does not matter. */
  now(): number;
  /** Ms since 1970, for calendar quotas. */
  wall(): number;
  /** Calls once after `ms` or somewhat later; returns what stops it. */
  wake(ms: number, call: () => void): () => void;
}

/** A timer cannot be set further than this; a later wake-up is reached in several steps. */
const timerMostMs = 2 ** 31 - 1;

/** `performance.now()`, `Date.now()` and `setTimeout`. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  wake: (ms, call) => {
    const end = performance.now() + ms;
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      if (left > timerMostMs) timer = setTimeout(() => arm(end - performance.now()), timerMostMs);
      else timer = setTimeout(call, left);
    };
    arm(ms);
    return () => clearTimeout(timer);
  },
};
