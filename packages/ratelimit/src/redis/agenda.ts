import type { Clock } from '../clock.js';

export interface Appointment {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  isOff: boolean;
}

/** Whatever is to be done later, with one timer for all: a binary heap by time, and by order among what is due at once. */
export class Agenda {
  readonly #clock: Clock;
  readonly #heap: Appointment[] = [];
  #made = 0;
  #stop: (() => void) | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;
  #off = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `order`, among what is due at once: as it was arranged, unless it is said. */
  at(atMs: number, run: () => void, order = this.#made++): Appointment {
    const appointment = { atMs, order, run, isOff: false };
    this.#push(appointment);
    if (atMs < this.#wakeAt) this.#wake();
    return appointment;
  }

  cancel(appointment: Appointment | undefined): void {
    if (appointment === undefined || appointment.isOff) return;
    appointment.isOff = true;
    this.#off++;
    // Where most of it is called off it is not kept until its time.
    if (this.#off > 64 && this.#off * 2 > this.#heap.length) this.#clear();
    if (this.#heap[0]?.isOff === true) this.#wake();
  }

  close(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#heap.length = 0;
  }

  #clear(): void {
    const left = this.#heap.filter(({ isOff }) => !isOff);
    this.#heap.length = 0;
    this.#off = 0;
    for (const appointment of left) this.#push(appointment);
  }

  #wake(): void {
    while (this.#heap[0]?.isOff === true) {
      this.#pop();
      this.#off--;
    }
    const next = this.#heap[0];
    const at = next === undefined ? Number.POSITIVE_INFINITY : next.atMs;
    if (at === this.#wakeAt && this.#stop !== undefined) return;
    this.#stop?.();
    this.#stop = undefined;
    this.#wakeAt = at;
    if (next === undefined) return;
    this.#stop = this.#clock.wake(Math.max(0, at - this.#clock.now()), () => this.#due());
  }

  #due(): void {
    this.#stop = undefined;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= now; next = this.#heap[0]) {
      this.#pop();
      if (next.isOff) this.#off--;
      else {
        next.isOff = true;
        next.run();
      }
    }
    this.#wake();
  }

  #push(appointment: Appointment): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(appointment);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(appointment, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = appointment;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!isBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(one: Appointment, other: Appointment): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
