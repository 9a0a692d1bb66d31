import type { Clock } from '../clock.js';
import type { Reason } from '../meter.js';
import type { LimitRequest } from '../request.js';
import { Agenda, type Appointment } from './agenda.js';
import type { Ask } from './ask.js';
import { type Booking, Bookings, type Outcome } from './bookings.js';
import type { Attempt } from './redis-limiter.js';
import type { Judged } from './reply.js';
import type { Mode } from './store.js';

export interface Waiting {
  readonly ask: Ask;
  readonly idKey: string;
  /** What it was refused with, or booked. */
  readonly first: Booked | { readonly judged: Judged };
  /** Ms until it gives up. */
  readonly leftMs: number;
  readonly signal: AbortSignal | undefined;
}

export type Booked = Extract<Attempt, { booked: unknown }>;

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

export type Waited = Attempt | { readonly judged: Judged; readonly why: Reason };

interface Waiter {
  ask: Ask;
  idKey: string;
  readonly order: number;
  readonly deadline: number;
  judged: Judged;
  /** The queue it stands in; undefined while it is in none. */
  queue: Queue | undefined;
  isOver: boolean;
  isAsking: boolean;
  /** What it was booked, until that is ready or given up. */
  booked: { readonly attempt: Booked; readonly booking: Booking } | undefined;
  polls: number;
  expiry: Appointment | undefined;
  finish(waited: Waited): void;
  fail(error: unknown): void;
}

/** Who waits for one key, by arrival. */
interface Queue {
  readonly key: string;
  readonly waiters: Waiter[];
  due: Appointment | undefined;
}

/** Permits come back at times that nobody can tell: so often they are asked for again, at first and at last. */
const poll = { firstMs: 20, lastMs: 500 };

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
  readonly #queues = new Map<string, Queue>();
  readonly #all = new Set<Waiter>();
  #made = 0;

  constructor(clock: Clock, most: number, store: LineStore) {
    this.#clock = clock;
    this.#most = most;
    this.#store = store;
    this.#agenda = new Agenda(clock);
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
    if (this.#all.size === 0) return undefined;
    const queued = this.queued(ask);
    if (queued !== undefined) return queued;
    for (const [place, key] of ask.keys.entries()) {
      const lastMs = this.#bookings.lastMs(key);
      if (lastMs === undefined || ask.terms[place]!.shadow || ask.costs[place] === 0) continue;
      const afterMs = Math.max(0, Math.ceil(lastMs - this.#clock.now()));
      return claimedBy(ask, place, afterMs + msFor(ask, place, ask.costs[place]!));
    }
    return undefined;
  }

  /** The same for those alone who wait in a queue: who comes now stands behind them. */
  queued(ask: Ask): Judged | undefined {
    if (this.#queues.size === 0) return undefined;
    for (const [place, key] of ask.keys.entries()) {
      const queue = this.#queues.get(key);
      const term = ask.terms[place]!;
      if (queue === undefined || term.shadow || ask.costs[place] === 0) continue;
      return claimedBy(ask, place, this.#behind(queue, ask, place));
    }
    return undefined;
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
        signal?.removeEventListener('abort', abort);
        this.#leave(waiter);
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
      const abort = (): void => waiter.fail(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      this.#all.add(waiter);
      if (leftMs !== Number.POSITIVE_INFINITY) {
        waiter.expiry = this.#agenda.at(waiter.deadline, () =>
          waiter.finish({ judged: waiter.judged, why: 'deadline' }),
        );
      }
      if (booked === undefined) this.#stand(waiter);
      else this.#book(waiter, booked);
    });
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
    if (this.#queues.size === 0) return;
    const now = this.#clock.now();
    for (const queue of this.#queues.values()) this.#schedule(queue, now);
  }

  /** Everybody asks again, by other limits. */
  relimit(ask: (request: LimitRequest) => Ask): void {
    const waiting = [...this.#all];
    for (const waiter of waiting) {
      this.#leave(waiter);
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

  /** In the queue of the narrowest key that it lacks, by arrival. */
  #stand(waiter: Waiter): void {
    const { ask, judged } = waiter;
    let [at, ms] = [judged.place, judged.retryAfterMs];
    for (const lack of judged.lacking) {
      if (ask.terms[lack.place]!.breadth <= ask.terms[at]!.breadth) continue;
      at = lack.place;
      ms = lack.ms;
    }
    const key = ask.keys[at]!;
    const queue = this.#queues.get(key) ?? { key, waiters: [], due: undefined };
    this.#queues.set(key, queue);
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

  #leave(waiter: Waiter): void {
    const { queue } = waiter;
    if (queue === undefined) return;
    waiter.queue = undefined;
    const place = queue.waiters.indexOf(waiter);
    queue.waiters.splice(place, 1);
    if (queue.waiters.length === 0) {
      this.#agenda.cancel(queue.due);
      this.#queues.delete(queue.key);
    } else if (place === 0 && !waiter.isAsking) this.#schedule(queue, this.#clock.now());
  }

  #schedule(queue: Queue, atMs: number): void {
    this.#agenda.cancel(queue.due);
    queue.due = this.#agenda.at(atMs, () => this.#turn(queue));
  }

  /** It is time for who is first; where bookings are made everybody asks, in their order. */
  #turn(queue: Queue): void {
    for (const waiter of [...queue.waiters]) {
      if (!waiter.isAsking) void this.#ask(waiter);
      if (!isBookable(waiter, queue.key)) return;
    }
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
      else this.#serve(waiter, got);
    } else if ('failed' in got) {
      waiter.finish(got);
    } else if (!waiter.isOver) this.#again(waiter, ask, got.judged);
  }

  /** The next in its queue is ready when what it costs has come in. */
  #serve(waiter: Waiter, got: Attempt): void {
    const { queue } = waiter;
    waiter.finish(got);
    const next = queue?.waiters[0];
    if (queue === undefined || next === undefined) return;
    const place = next.ask.keys.indexOf(queue.key);
    const ms = place === -1 ? 0 : msFor(next.ask, place, next.ask.costs[place]!);
    this.#schedule(queue, this.#clock.now() + ms);
  }

  /** Taken already; until it is ready it can still be given up. */
  #book(waiter: Waiter, attempt: Booked): void {
    this.#leave(waiter);
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
    else if (judged.retryAfterMs > leftMs && judged.retryAfterMs !== Number.POSITIVE_INFINITY)
      waiter.finish({ judged, why: 'deadline' });
    else {
      this.#leave(waiter);
      this.#stand(waiter);
    }
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

/** Ms in which so many tokens come in, where anybody can tell. */
function msFor(ask: Ask, place: number, tokens: number): number {
  const term = ask.terms[place]!;
  const ms = term.kind === 'r' ? term.msFor(tokens, 0) : 0;
  return ms === Number.POSITIVE_INFINITY ? 0 : ms;
}

function claimedBy(ask: Ask, place: number, retryAfterMs: number): Judged {
  const term = ask.terms[place]!;
  return {
    ...{ allowed: false, by: term.name, remaining: 0, limit: term.max },
    ...{ retryAfterMs, resetMs: retryAfterMs, shadowed: [], place },
    reason: ask.costs[place]! > term.max ? 'never' : 'queue',
    lacking: [{ place, ms: retryAfterMs }],
  };
}

/** Whether what it lacks there can be taken before it is there. */
function isBookable({ ask }: Waiter, key: string): boolean {
  const place = ask.keys.indexOf(key);
  const term = ask.terms[place];
  if (term === undefined || term.kind !== 'r') return false;
  return ask.terms.every(({ breadth }) => breadth >= term.breadth);
}
