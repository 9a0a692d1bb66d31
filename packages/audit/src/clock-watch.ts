import { type Clock, clockJumpMs } from './clock.js';

/** A wall clock that stands elsewhere than where it should. */
export interface ClockJump {
  readonly expectedMs: number;
  readonly nowMs: number;
}

/** Notices when the wall clock moves against the monotonic one. */
export class ClockWatch {
  readonly #clock: Clock;
  #wallMs: number;
  #monotonicMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wallMs = clock.wallMs();
    this.#monotonicMs = clock.monotonicMs();
  }

  /** The jump since the last look, each one once `seen` was called for it. */
  look(): ClockJump | undefined {
    const nowMs = this.#clock.wallMs();
    const expectedMs = this.#wallMs + (this.#clock.monotonicMs() - this.#monotonicMs);
    return Math.abs(nowMs - expectedMs) >= clockJumpMs ? { expectedMs, nowMs } : undefined;
  }

  /** Takes both clocks as they are now. */
  seen(): void {
    this.#wallMs = this.#clock.wallMs();
    this.#monotonicMs = this.#clock.monotonicMs();
  }
}
