import type { Clock } from '../clock.js';

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #wallMs = Date.parse('2026-01-02T03:04:05.678Z');
  #monotonicMs = 1_000;

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  #boot = 1;
  #bootedMs = 0;

  boot(): { id: string; ms: number } {
    return { id: `boot ${this.#boot}`, ms: this.#monotonicMs - this.#bootedMs };
  }

  /** The machine starts again. */
  reboot(): void {
    this.#boot++;
    this.#bootedMs = this.#monotonicMs;
  }

  /** Time passes. */
  pass(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }

  /** Somebody sets the wall clock. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }
}
