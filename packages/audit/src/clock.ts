/** The two clocks a log reads: what people call the time, and one that only goes forward. */
export interface Clock {
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A wall clock that moved this much against the monotonic one has jumped. */
export const clockJumpMs = 2_000;
