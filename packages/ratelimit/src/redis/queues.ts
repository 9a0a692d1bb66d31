import type { Clock } from '../clock.js';
import type { Agenda } from './agenda.js';
import type { Ask } from './ask.js';
import { claimedBy, isNever, isTakenFrom, msFor } from './claims.js';
import type { Granted } from './granted.js';
import type { Judged } from './reply.js';
import type { Queue, Waiter } from './waiter.js';

/** Permits come back at times that nobody can tell: so often they are asked for again, at first and at last. */
const poll = { firstMs: 20, lastMs: 500 };

/**
 * Who waits in this process for what lacks now. Each stands in the queue of the narrowest key that it lacks, and only who is first there
 * asks the store again, when it should be ready.
 */
export class Queues {
  readonly #clock: Clock;
  readonly #agenda: Agenda;
  readonly #ask: (waiter: Waiter) => void;
  readonly #byKey = new Map<string, Queue>();

  constructor(clock: Clock, agenda: Agenda, ask: (waiter: Waiter) => void) {
    this.#clock = clock;
    this.#agenda = agenda;
    this.#ask = ask;
  }

  /** What a request is refused with by those who wait for a key of it: who comes now stands behind them, unless it can never be served. */
  queued(ask: Ask): Judged | undefined {
    if (this.#byKey.size === 0 || isNever(ask)) return undefined;
    for (const [place, key] of ask.keys.entries()) {
      const queue = this.#byKey.get(key);
      if (queue === undefined || !isTakenFrom(ask, place)) continue;
      return claimedBy(ask, place, this.#behind(queue, ask, place));
    }
    return undefined;
  }

  /** Something was given back here: those who are first may be ready. */
  changed(): void {
    if (this.#byKey.size === 0) return;
    const now = this.#clock.now();
    for (const queue of this.#byKey.values()) this.#schedule(queue, now);
  }

  /** In the queue of the narrowest key that it lacks, by arrival. */
  stand(waiter: Waiter): void {
    const { ask, judged } = waiter;
    let [at, ms] = [judged.place, judged.retryAfterMs];
    for (const lack of judged.lacking) {
      if (ask.terms[lack.place]!.breadth <= ask.terms[at]!.breadth) continue;
      at = lack.place;
      ms = lack.ms;
    }
    const key = ask.keys[at]!;
    const queue = this.#byKey.get(key) ?? { key, waiters: [], due: undefined };
    this.#byKey.set(key, queue);
    waiter.queue = queue;
    let place = queue.waiters.length;
    while (place > 0 && queue.waiters[place - 1]!.order > waiter.order) place--;
    queue.waiters.splice(place, 0, waiter);
    if (place === 0) this.#schedule(queue, this.#clock.now() + this.#pauseOf(waiter, ms));
  }

  #pauseOf(waiter: Waiter, ms: number): number {
    if (ms !== Number.POSITIVE_INFINITY) return ms;
    return Math.min(poll.lastMs, poll.firstMs * 2 ** waiter.polls++);
  }

  leave(waiter: Waiter): void {
    const { queue } = waiter;
    if (queue === undefined) return;
    waiter.queue = undefined;
    const place = queue.waiters.indexOf(waiter);
    queue.waiters.splice(place, 1);
    if (queue.waiters.length === 0) {
      this.#agenda.cancel(queue.due);
      this.#byKey.delete(queue.key);
    } else if (place === 0 && !waiter.isAsking) this.#schedule(queue, this.#clock.now());
  }

  #schedule(queue: Queue, atMs: number): void {
    this.#agenda.cancel(queue.due);
    // Of those who ask at one time the first to come goes first, and all before anybody is too late.
    const order = (queue.waiters[0]?.order ?? 0) - Number.MAX_SAFE_INTEGER;
    queue.due = this.#agenda.at(atMs, () => this.#turn(queue), order);
  }

  /** It is time for who is first; where bookings are made everybody asks, in their order. */
  #turn(queue: Queue): void {
    for (const waiter of [...queue.waiters]) {
      if (!waiter.isAsking) this.#ask(waiter);
      if (!isBookable(waiter, queue.key)) return;
    }
  }

  /** Somebody of this queue was served: the next is ready when what it lacks then has come in. */
  served(queue: Queue, { held }: Granted): void {
    const next = queue.waiters[0];
    if (next === undefined || held === undefined) return;
    const place = held.ask.keys.indexOf(queue.key);
    const at = next.ask.keys.indexOf(queue.key);
    const term = held.ask.terms[place];
    if (term?.kind !== 'r' || at === -1) return;
    const lacking = held.reply.marks[place]! / term.perToken - term.max;
    const ms = msFor(next.ask, at, lacking + next.ask.costs[at]!);
    this.#schedule(queue, this.#clock.now() + ms);
  }

  /** Ms until a request that came now behind these would be served, as far as the bucket tells. */
  #behind({ waiters, key, due }: Queue, ask: Ask, place: number): number {
    let ahead = ask.costs[place]!;
    for (const waiter of waiters) {
      const at = waiter.ask.keys.indexOf(key);
      ahead += waiter.ask.costs[at] ?? 0;
    }
    const first = waiters[0]!;
    ahead -= first.ask.costs[first.ask.keys.indexOf(key)] ?? 0;
    const dueMs = Math.max(1, Math.ceil((due?.atMs ?? 0) - this.#clock.now()));
    return dueMs + msFor(ask, place, ahead);
  }
}

/** Whether what it lacks there can be taken before it is there. */
function isBookable({ ask }: Waiter, key: string): boolean {
  const place = ask.keys.indexOf(key);
  const term = ask.terms[place];
  if (term === undefined || term.kind !== 'r') return false;
  return ask.terms.every(({ breadth }) => breadth >= term.breadth);
}
