import { onAbort } from '../abort-listeners.js';
import type { Clock } from '../clock.js';
import type { LimitRequest } from '../request.js';
import { Agenda } from './agenda.js';
import type { Ask } from './ask.js';
import type { Attempt, Booked } from './attempt.js';
import { type Booking, Bookings, type Outcome } from './bookings.js';
import { claimedBy, isNever, isTakenFrom, msFor } from './claims.js';
import { Queues } from './queues.js';
import type { Judged } from './reply.js';
import type { Mode } from './store.js';
import type { Waited, Waiter } from './waiter.js';

export interface Waiting {
  readonly ask: Ask;
  readonly idKey: string;
  /** What it was refused with, or booked. */
  readonly first: Booked | { readonly judged: Judged };
  /** Ms until it gives up. */
  readonly leftMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What the line asks the store. */
export interface LineStore {
  attempt(ask: Ask, idKey: string, mode: Mode): Promise<Attempt>;
  /** Which of these bookings it knows. @throws StoreFailure */
  confirm(idKeys: readonly string[]): Promise<readonly boolean[]>;
  /** Gives back what was booked. */
  unbook(booked: Booked): void;
  /** What becomes of a request while the store is away; throws what is no failure of the store's. */
  without(ask: Ask, error: unknown): Extract<Attempt, { failed: unknown }>;
}

/**
 * Who waits in this process. Each stands in the queue of the narrowest key that it lacks, and only who is first there asks the store again,
 * when it should be ready; so who is held up by an own key takes nothing of what all share meanwhile. Who lacks but the broadest is given a
 * booking: its tokens are taken at once, and it goes when they have come in and the store still knows of it. So those of one queue ask in one
 * go, and are served by arrival.
 */
export class RedisLine {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #store: LineStore;
  readonly #agenda: Agenda;
  readonly #bookings: Bookings;
  readonly #queues: Queues;
  readonly #all = new Set<Waiter>();
  #made = 0;

  constructor(clock: Clock, most: number, store: LineStore) {
    this.#clock = clock;
    this.#most = most;
    this.#store = store;
    this.#agenda = new Agenda(clock);
    this.#queues = new Queues(clock, this.#agenda, (waiter) => void this.#ask(waiter));
    this.#bookings = new Bookings(clock, this.#agenda, (idKeys) => store.confirm(idKeys));
  }

  get gapsMade(): number {
    return this.#bookings.gapsMade;
  }

  get isFull(): boolean {
    return this.#all.size >= this.#most;
  }

  /** Whether somebody waits for a key of this request, or has booked of it; what it is refused with then. */
  claimed(ask: Ask): Judged | undefined {
    if (this.#all.size === 0 || isNever(ask)) return undefined;
    const queued = this.#queues.queued(ask);
    if (queued !== undefined) return queued;
    for (const [place, key] of ask.keys.entries()) {
      const lastMs = this.#bookings.lastMs(key);
      if (lastMs === undefined || !isTakenFrom(ask, place)) continue;
      const afterMs = Math.max(0, Math.ceil(lastMs - this.#clock.now()));
      return claimedBy(ask, place, afterMs + msFor(ask, place, ask.costs[place]!));
    }
    return undefined;
  }

  /** The same for those alone who wait in a queue. */
  queued(ask: Ask): Judged | undefined {
    return this.#queues.queued(ask);
  }

  wait({ ask, idKey, first, leftMs, signal }: Waiting): Promise<Waited> {
    const { judged } = first;
    const booked = 'booked' in first ? first : undefined;
    if (booked === undefined) {
      if (judged.retryAfterMs > leftMs && judged.retryAfterMs !== Number.POSITIVE_INFINITY)
        return Promise.resolve({ judged, why: 'deadline' });
    }
    if (this.isFull) {
      if (booked !== undefined) this.giveUp(ask, idKey, booked);
      return Promise.resolve({ judged, why: 'waiting' });
    }
    return new Promise((resolve, reject) => {
      const end = (): boolean => {
        if (waiter.isOver) return false;
        waiter.isOver = true;
        this.#all.delete(waiter);
        this.#agenda.cancel(waiter.expiry);
        deaf();
        this.#queues.leave(waiter);
        this.#unbook(waiter);
        return true;
      };
      const waiter: Waiter = {
        ...{ ask, idKey, judged, order: this.#made++, queue: undefined },
        ...{ isOver: false, isAsking: false, booked: undefined, polls: 0, expiry: undefined },
        deadline: this.#clock.now() + leftMs,
        finish: (waited) => void (end() && resolve(waited)),
        fail: (error) => void (end() && reject(error)),
      };
      const deaf = onAbort(signal, () => waiter.fail(signal?.reason));
      this.#all.add(waiter);
      if (leftMs !== Number.POSITIVE_INFINITY) {
        waiter.expiry = this.#agenda.at(waiter.deadline, () => this.#expire(waiter));
      }
      if (booked === undefined) this.#queues.stand(waiter);
      else this.#book(waiter, booked);
    });
  }

  /** What is there by now, or asked for, is still waited for: for one answer of the store at most. */
  #expire(waiter: Waiter): void {
    const { booked, isAsking } = waiter;
    if (isAsking || (booked !== undefined && booked.booking.readyMs <= waiter.deadline)) return;
    waiter.finish({ judged: waiter.judged, why: 'deadline' });
  }

  /** A booking that nobody wants any more now that it is known: those behind it move forward. */
  giveUp(ask: Ask, idKey: string, attempt: Booked): void {
    this.#bookings.cancel(this.#add(ask, idKey, attempt, () => {}));
    this.#store.unbook(attempt);
  }

  #add(ask: Ask, idKey: string, attempt: Booked, settle: (outcome: Outcome) => void): Booking {
    const { booked: reply, gapsMade } = attempt;
    return this.#bookings.add({ idKey, ask, reply, gapsMade }, settle);
  }

  /** Something was given back here: those who are first may be ready. */
  changed(): void {
    this.#queues.changed();
  }

  /** Everybody asks again, by other limits. */
  relimit(ask: (request: LimitRequest) => Ask): void {
    const waiting = [...this.#all];
    for (const waiter of waiting) {
      this.#queues.leave(waiter);
      this.#unbook(waiter);
      try {
        waiter.ask = ask(waiter.ask.request);
      } catch (error) {
        waiter.fail(error);
        continue;
      }
      // The store may have the answer to what it was by the limits before.
      waiter.idKey = `${waiter.idKey}'`;
      if (!waiter.isAsking) void this.#ask(waiter);
    }
  }

  close(error: Error): void {
    for (const waiter of [...this.#all]) waiter.fail(error);
    this.#agenda.close();
  }

  async #ask(waiter: Waiter): Promise<void> {
    waiter.isAsking = true;
    const { ask } = waiter;
    const bookMs = waiter.deadline - this.#clock.now();
    let got: Attempt;
    try {
      got = await this.#store.attempt(ask, waiter.idKey, { bookMs });
    } catch (error) {
      waiter.isAsking = false;
      waiter.fail(error);
      return;
    }
    waiter.isAsking = false;
    if ('booked' in got) {
      // It may have been given up meanwhile, or be asked by other limits.
      if (waiter.isOver || ask !== waiter.ask) this.giveUp(ask, waiter.idKey, got);
      if (waiter.isOver) return;
      if (ask === waiter.ask) this.#book(waiter, got);
      else void this.#ask(waiter);
    } else if ('grant' in got) {
      if (waiter.isOver) void got.grant.refund();
      else {
        const { queue } = waiter;
        waiter.finish(got);
        if (queue !== undefined) this.#queues.served(queue, got.grant);
      }
    } else if ('failed' in got) {
      waiter.finish(got);
    } else if (!waiter.isOver) this.#again(waiter, ask, got.judged);
  }

  /** Taken already; until it is ready it can still be given up. */
  #book(waiter: Waiter, attempt: Booked): void {
    this.#queues.leave(waiter);
    waiter.judged = attempt.judged;
    const booking = this.#add(waiter.ask, waiter.idKey, attempt, (outcome) =>
      this.#settle(waiter, attempt, outcome),
    );
    waiter.booked = { attempt, booking };
  }

  #settle(waiter: Waiter, attempt: Booked, outcome: Outcome): void {
    waiter.booked = undefined;
    if (outcome === 'kept') waiter.finish(attempt);
    else if (outcome === 'lost') {
      // Nothing is left of it to be given back: the store that there is now decides.
      if (!waiter.isAsking) void this.#ask(waiter);
    } else {
      this.#store.unbook(attempt);
      try {
        waiter.finish(this.#store.without(waiter.ask, outcome.error));
      } catch (error) {
        waiter.fail(error);
      }
    }
  }

  #unbook(waiter: Waiter): void {
    const { booked } = waiter;
    if (booked === undefined) return;
    waiter.booked = undefined;
    this.#bookings.cancel(booked.booking);
    this.#store.unbook(booked.attempt);
  }

  #again(waiter: Waiter, ask: Ask, judged: Judged): void {
    // By other limits than it was asked by.
    if (ask !== waiter.ask) {
      void this.#ask(waiter);
      return;
    }
    waiter.judged = judged;
    const leftMs = waiter.deadline - this.#clock.now();
    if (judged.reason === 'never') waiter.finish({ judged });
    else if (
      leftMs <= 0 ||
      (judged.retryAfterMs > leftMs && judged.retryAfterMs !== Number.POSITIVE_INFINITY)
    )
      waiter.finish({ judged, why: 'deadline' });
    else {
      this.#queues.leave(waiter);
      this.#queues.stand(waiter);
    }
  }
}
