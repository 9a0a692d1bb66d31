import type { Clock } from '../clock.js';
import type { Agenda, Appointment } from './agenda.js';
import type { Ask } from './ask.js';
import { Gaps } from './gaps.js';
import type { Reply } from './reply.js';

/** What became of a booking when it was ready: the store still knows it, does not know it any more, or did not answer. */
export type Outcome = 'kept' | 'lost' | { readonly error: unknown };

/** Tokens that were taken for a request before they had come in. */
export interface Booking {
  readonly idKey: string;
  readonly ask: Ask;
  /** When each of its buckets has them; long ago for what is no bucket. */
  readonly atMs: number[];
  readyMs: number;
  ready: Appointment | undefined;
  isDue: boolean;
  isOver: boolean;
  readonly settle: (outcome: Outcome) => void;
}

interface Claim {
  count: number;
  lastMs: number;
}

/** Bookings that the store is asked about at once. */
const batch = 500;
/** For how long, and how many at most, places that were given up are remembered for bookings that are still on their way. */
const remembered = { ms: 10_000, most: 1_000 };

/**
 * Who was given tokens that have yet to come in. A booking says nothing any more when the store that made it is gone, so each is confirmed
 * when it is ready: those that are ready while the store is being asked share the next question. When one is given up, those behind it in
 * this process move forward by as long as its tokens take to come in: what all bookings together use up by any time stays within what comes
 * in until then.
 */
export class Bookings {
  readonly #clock: Clock;
  readonly #agenda: Agenda;
  readonly #confirm: (idKeys: readonly string[]) => Promise<readonly boolean[]>;
  readonly #open = new Set<Booking>();
  readonly #claims = new Map<string, Claim>();
  #due: Booking[] = [];
  #gone: Booking[] = [];
  #gaps: Gaps[] = [];
  #forgotten = 0;
  #isAsking = false;

  constructor(
    clock: Clock,
    agenda: Agenda,
    confirm: (idKeys: readonly string[]) => Promise<readonly boolean[]>,
  ) {
    this.#clock = clock;
    this.#agenda = agenda;
    this.#confirm = confirm;
  }

  /** So many times places were given up: to be noted when a booking is asked for. */
  get gapsMade(): number {
    return this.#forgotten + this.#gaps.length;
  }

  /** `gapsMade`: at the time at which it was asked for; it moves forward by what was given up since. */
  add(
    { idKey, ask, reply, gapsMade }: { idKey: string; ask: Ask; reply: Reply; gapsMade: number },
    settle: (outcome: Outcome) => void,
  ): Booking {
    const now = this.#clock.now();
    const atMs = readyTimes(ask, reply, now);
    for (const gaps of this.#gaps.slice(Math.max(0, gapsMade - this.#forgotten)))
      moveForward(ask, atMs, gaps);
    const readyMs = Math.max(now, ...atMs);
    const booking: Booking = {
      ...{ idKey, ask, atMs, readyMs, settle },
      ...{ ready: undefined, isDue: false, isOver: false },
    };
    this.#open.add(booking);
    for (const key of claimedKeys(ask)) {
      const claim = this.#claims.get(key);
      if (claim === undefined) this.#claims.set(key, { count: 1, lastMs: readyMs });
      else {
        claim.count++;
        claim.lastMs = Math.max(claim.lastMs, readyMs);
      }
    }
    this.#arrange(booking);
    return booking;
  }

  /** Gives it up; its tokens are the caller's to give back. */
  cancel(booking: Booking): void {
    if (booking.isOver) return;
    this.#end(booking);
    if (this.#gone.length === 0) queueMicrotask(() => this.#moveForward());
    this.#gone.push(booking);
  }

  /** When the last booking of a key is ready; undefined where there is none. */
  lastMs(key: string): number | undefined {
    return this.#claims.get(key)?.lastMs;
  }

  #end(booking: Booking): void {
    booking.isOver = true;
    this.#agenda.cancel(booking.ready);
    this.#open.delete(booking);
    for (const key of claimedKeys(booking.ask)) {
      const claim = this.#claims.get(key);
      if (claim !== undefined && --claim.count === 0) this.#claims.delete(key);
    }
  }

  #arrange(booking: Booking): void {
    this.#agenda.cancel(booking.ready);
    booking.ready = this.#agenda.at(booking.readyMs, () => {
      booking.isDue = true;
      this.#due.push(booking);
      if (!this.#isAsking) void this.#ask();
    });
  }

  /** One question at a time, so that what is ready meanwhile shares the next. */
  async #ask(): Promise<void> {
    this.#isAsking = true;
    // All that are ready at this moment are there then.
    await undefined;
    while (this.#due.length > 0) {
      const some = this.#due.splice(0, batch).filter(({ isOver }) => !isOver);
      if (some.length === 0) continue;
      const outcomes = await this.#outcomes(some);
      for (const [place, booking] of some.entries()) {
        if (booking.isOver) continue;
        this.#end(booking);
        booking.settle(outcomes[place]!);
      }
    }
    this.#isAsking = false;
  }

  async #outcomes(some: readonly Booking[]): Promise<Outcome[]> {
    try {
      const known = await this.#confirm(some.map(({ idKey }) => idKey));
      return some.map((_, place) => (known[place] === true ? 'kept' : 'lost'));
    } catch (error) {
      return some.map(() => ({ error }));
    }
  }

  /** All that were given up at one moment, in one go. */
  #moveForward(): void {
    const now = this.#clock.now();
    const gaps = new Gaps(this.#gone, now);
    this.#gone = [];
    this.#remember(gaps, now);
    for (const claim of this.#claims.values()) claim.lastMs = 0;
    for (const booking of this.#open) {
      moveForward(booking.ask, booking.atMs, gaps);
      const readyMs = Math.max(...booking.atMs);
      if (readyMs < booking.readyMs && !booking.isDue) {
        booking.readyMs = readyMs;
        this.#arrange(booking);
      }
      for (const key of claimedKeys(booking.ask)) {
        const claim = this.#claims.get(key);
        if (claim !== undefined) claim.lastMs = Math.max(claim.lastMs, booking.readyMs);
      }
    }
  }

  #remember(gaps: Gaps, now: number): void {
    this.#gaps.push(gaps);
    while (this.#gaps.length > remembered.most || this.#gaps[0]!.madeMs < now - remembered.ms) {
      this.#gaps.shift();
      this.#forgotten++;
    }
  }
}

function moveForward({ keys }: Ask, atMs: number[], gaps: Gaps): void {
  for (const [place, key] of keys.entries()) atMs[place]! -= gaps.before(key, atMs[place]!);
}

/** Whom it keeps others from: all whose tokens it uses. */
function claimedKeys({ keys, costs, terms }: Ask): string[] {
  return keys.filter((_, place) => costs[place] !== 0 && !terms[place]!.shadow);
}

/** When what was taken beyond empty of each bucket has come in. */
function readyTimes({ terms }: Ask, { marks }: Reply, now: number): number[] {
  return terms.map((term, place) => {
    const over = marks[place]! - term.max * term.perToken;
    if (term.kind !== 'r' || term.shadow || !(over > 0)) return Number.NEGATIVE_INFINITY;
    return now + over / term.count / 1_000;
  });
}
