import type { Clock } from '../clock.js';

/** Failures in a row after which the store is left alone. */
const failuresMost = 5;
const firstPauseMs = 100;
const longestPauseMs = 5_000;

/**
 * A circuit breaker: after five failures in a row nothing is asked for a while, then one call goes first and decides. Each pause is twice
 * the last, up to 5 s, and shortened by up to half at random, so that many processes do not come back at one moment.
 */
export class Breaker {
  readonly #clock: Clock;
  readonly #random: () => number;
  #failures = 0;
  #pauseMs = firstPauseMs;
  #openUntil = 0;
  #probing = false;

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  get isOpen(): boolean {
    return this.#failures >= failuresMost;
  }

  /** Ms until a call may go; 0 when one may now. */
  get pauseMs(): number {
    if (!this.isOpen) return 0;
    if (this.#probing) return this.#pauseMs;
    return Math.max(0, this.#openUntil - this.#clock.now());
  }

  /** Whether a call may go now; the one that does while it is open is the probe. */
  enter(): boolean {
    if (!this.isOpen) return true;
    if (this.#probing || this.#clock.now() < this.#openUntil) return false;
    this.#probing = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#pauseMs = firstPauseMs;
    this.#probing = false;
  }

  failed(): void {
    this.#failures++;
    if (!this.isOpen) return;
    // What went before it opened says nothing new.
    if (!this.#probing && this.#clock.now() < this.#openUntil) return;
    this.#probing = false;
    this.#openUntil = this.#clock.now() + this.#pauseMs * (0.5 + this.#random() / 2);
    this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * 2);
  }
}
