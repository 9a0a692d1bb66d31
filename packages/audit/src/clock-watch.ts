import { type Clock, clockJumpMs } from './clock.js';

/** A wall clock that stands elsewhere than where it should. */
export interface ClockJump {
  readonly expectedMs: number;
  readonly nowMs: number;
}

/** Both clocks; the wall clock was read between the two times of the monotonic one. */
interface Look {
  readonly beforeMs: number;
  readonly wallMs: number;
  readonly afterMs: number;
}

/**
 * Notices when the wall clock moves against the monotonic one. Both are not read at once, and a process may be held between:
 * that is no jump.
 */
export class ClockWatch {
  readonly #clock: Clock;
  #seen: Look;
  #looked: Look;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#seen = lookAt(clock);
    this.#looked = this.#seen;
  }

  /** The time as it was last seen, and what has passed since: no jump is in it that was not noticed. Milliseconds since 1970. */
  get wallMs(): number {
    const { wallMs, afterMs } = this.#seen;
    return Math.round(wallMs + (this.#clock.monotonicMs() - afterMs));
  }

  /** The jump since the last look, each one once `seen` was called for it. */
  look(): ClockJump | undefined {
    this.#looked = lookAt(this.#clock);
    const { wallMs: nowMs, beforeMs, afterMs } = this.#looked;
    const seen = this.#seen;
    const leastMs = seen.wallMs + (beforeMs - seen.afterMs);
    const mostMs = seen.wallMs + (afterMs - seen.beforeMs);
    const expectedMs = Math.min(Math.max(nowMs, leastMs), mostMs);
    return Math.abs(nowMs - expectedMs) >= clockJumpMs ? { expectedMs, nowMs } : undefined;
  }

  /** Takes both clocks as the last look found them. */
  seen(): void {
    this.#seen = this.#looked;
  }
}

function lookAt(clock: Clock): Look {
  const beforeMs = clock.monotonicMs();
  const wallMs = clock.wallMs();
  return { beforeMs, wallMs, afterMs: clock.monotonicMs() };
}
