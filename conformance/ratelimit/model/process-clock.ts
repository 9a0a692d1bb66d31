import { type Clock, ManualClock } from '@gatebook/ratelimit';

/**
 * The clock of a process whose store is elsewhere, with timers that ring at whole ms, as the store's clock is set to those. It can stand
 * still as a process does that is stopped: time passes, and what was due rings when it goes on.
 */
export class ProcessClock implements Clock {
  readonly #clock: ManualClock;
  #overdue: (() => void)[] | undefined;

  constructor(at: number) {
    this.#clock = new ManualClock(at, at);
  }

  readonly now = (): number => this.#clock.now();
  readonly wall = (): number => this.#clock.wall();
  readonly wake = (ms: number, call: () => void): (() => void) =>
    this.#clock.wake(Math.ceil(ms), () => {
      if (this.#overdue === undefined) call();
      else this.#overdue.push(call);
    });

  /** When the next timer rings. */
  get nextMs(): number {
    return this.#clock.nextMs ?? Number.POSITIVE_INFINITY;
  }

  advanceTo(at: number): void {
    this.#clock.advance(at - this.now());
  }

  stallTo(at: number): void {
    const overdue: (() => void)[] = [];
    this.#overdue = overdue;
    this.advanceTo(at);
    this.#overdue = undefined;
    for (const call of overdue) call();
  }
}
