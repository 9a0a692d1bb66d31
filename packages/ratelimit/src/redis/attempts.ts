import type { Clock } from '../clock.js';
import type { Decision, Refusal } from '../decision.js';
import type { Reason } from '../meter.js';
import type { Ask } from './ask.js';
import type { Attempt, Booked } from './attempt.js';
import type { Denials } from './denials.js';
import type { Fallback } from './fallback.js';
import { amountsOf, corrections, type Held } from './giving.js';
import { Granted } from './granted.js';
import type { RedisGrant, RedisSettled, RedisTaken } from './grants.js';
import type { Permits } from './permits.js';
import { decisionOf, type Judged, judge, type Reply, unlimited } from './reply.js';
import type { Mode, Store } from './store.js';
import { StoreFailure } from './store-failure.js';

export interface AttemptsOptions {
  readonly store: Store;
  readonly permits: Permits;
  readonly denials: Denials;
  /** What decides while the store is away. */
  readonly fallback: Fallback;
  readonly clock: Clock;
  /** How often places were given up that bookings had. */
  readonly gapsMade: () => number;
  /** Told when something was given back. */
  readonly onGivenBack: () => void;
}

/** Asks the store for requests, once each, and makes grants and refusals of what it says, and of its silence. */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #store: Store;
  readonly #permits: Permits;
  #closed = false;
  /** Bookings that are being given back; the last of them. */
  #unbooking = 0;
  #unbooked: Promise<void> = Promise.resolve();

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#permits = options.permits;
  }

  /** From now on a store that does not answer is no reason to decide without it. */
  close(): void {
    this.#closed = true;
  }

  take(ask: Ask, idKey: string): Promise<RedisTaken> {
    if (!ask.plan.isPlain) return this.#take(ask, idKey);
    // By the shortest way: this is what is called most.
    const askedMs = this.#options.clock.now();
    return this.#store.askPlain(ask, idKey).then(
      (raw) =>
        Array.isArray(raw) && raw[0] === 1
          ? this.#grantPlain(ask, idKey, raw as readonly unknown[])
          : this.#takeAnswered(ask, idKey, raw, askedMs),
      (error: unknown) => this.#fail(ask, error),
    );
  }

  async attempt(ask: Ask, idKey: string, mode: Mode): Promise<Attempt> {
    if (ask.terms.length === 0)
      return { grant: new Granted(unlimited, ask, idKey, { raw: undefined }, this.#giveBack) };
    // What was given up here is given back before more is booked, or that would be booked behind it.
    if (typeof mode === 'object' && this.#unbooking > 0) await this.#unbooked;
    const gapsMade = this.#options.gapsMade();
    const askedMs = this.#options.clock.now();
    try {
      const reply = await this.#store.take(ask, idKey, mode);
      return this.#answer(ask, idKey, reply, askedMs, gapsMade);
    } catch (error) {
      return this.without(ask, error);
    }
  }

  /** What becomes of a request while the store is away; throws what is no failure of the store's. */
  without(ask: Ask, error: unknown): Extract<Attempt, { failed: unknown }> {
    return { failed: this.#fail(ask, error) };
  }

  /** Gives back what was booked. */
  unbook({ grant }: Booked): void {
    const { held } = grant;
    if (held === undefined) return;
    this.#permits.remove(held);
    this.#unbooking++;
    this.#unbooked = this.#store.unbook(held.ask, held.idKey).finally(() => {
      this.#unbooking--;
      this.#options.onGivenBack();
    });
  }

  /** Corrects what was taken by what it turned out to cost. */
  async settle(held: Held, actual: number): Promise<RedisSettled> {
    this.#permits.remove(held);
    this.#options.onGivenBack();
    return await this.#store.give(held, corrections(held, actual), 'settle');
  }

  refuse(ask: Ask, judged: Judged, why?: Reason): Refusal {
    if (judged.place !== -1) ask.terms[judged.place]!.counted.refused++;
    for (const place of judged.shadowed) ask.terms[place]!.counted.shadowRefused++;
    return { ...decisionOf(judged), allowed: false, reason: why ?? judged.reason ?? 'limit' };
  }

  async #take(ask: Ask, idKey: string): Promise<RedisTaken> {
    return this.#takenBy(ask, await this.attempt(ask, idKey, 'take'));
  }

  /** What the script that is made for its limits answered with a refusal, or with what only the other knows more of. */
  async #takeAnswered(ask: Ask, idKey: string, raw: unknown, askedMs: number): Promise<RedisTaken> {
    let got: Attempt;
    try {
      const reply = await this.#store.takeOn(ask, idKey, raw);
      got = this.#answer(ask, idKey, reply, askedMs, this.#options.gapsMade());
    } catch (error) {
      return this.#fail(ask, error);
    }
    return this.#takenBy(ask, got);
  }

  #takenBy(ask: Ask, got: Attempt): RedisTaken {
    // Somebody waits for it, with the same id.
    if ('booked' in got) return this.refuse(ask, got.judged, 'queue');
    if ('grant' in got) return got.grant;
    return 'failed' in got ? got.failed : this.refuse(ask, got.judged);
  }

  #answer(
    ask: Ask,
    idKey: string,
    reply: Reply,
    askedMs: number,
    gapsMade: number,
  ): Exclude<Attempt, { failed: unknown }> {
    const judged = judge(ask, reply);
    if (reply.code === 'refused') {
      this.#options.denials.add(ask, judged, askedMs);
      return { judged };
    }
    for (const place of judged.shadowed) ask.terms[place]!.counted.shadowRefused++;
    // What is booked is told as it will be when it is ready.
    const readyMs = reply.code === 'booked' ? bookedMs(ask, reply) : 0;
    const resetMs = Math.max(0, judged.resetMs - readyMs);
    const grant = new Granted({ ...judged, resetMs }, ask, idKey, { reply }, this.#giveBack);
    const { held } = grant;
    if (held !== undefined && ask.terms.some(({ kind }, at) => kind === 'c' && ask.costs[at]! > 0))
      this.#permits.add(held);
    if (reply.code === 'booked')
      return { grant, booked: reply, judged: notYet(judged, readyMs), gapsMade };
    countAllowed(ask);
    return { grant };
  }

  #grantPlain(ask: Ask, idKey: string, raw: readonly unknown[]): RedisGrant {
    const { terms } = ask;
    let by = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < terms.length; at++) {
      const term = terms[at]!;
      term.counted.allowed++;
      const left = term.max - Number(raw[at + 2]) / term.perToken;
      if (left >= least) continue;
      least = left;
      by = at;
    }
    const { name, max } = terms[by]!;
    const answer = {
      by: name,
      remaining: Math.max(0, Math.floor(least)),
      limit: max,
      resetMs: terms[by]!.msFor(max - least, 0),
    };
    return new Granted(answer, ask, idKey, { raw }, this.#giveBack);
  }

  /** The store did not answer: each limit says what becomes of its requests then. */
  #fail(ask: Ask, error: unknown): RedisTaken {
    if (!(error instanceof StoreFailure) || this.#closed) throw error;
    const taken = this.#options.fallback.take(ask, ask.request, error.retryAfterMs);
    return taken.allowed ? promising(taken) : taken;
  }

  readonly #giveBack = async (held: Held, permits: boolean): Promise<void> => {
    if (permits) this.#permits.remove(held);
    await this.#store.give(held, amountsOf(held, permits), permits ? 'release' : 'refund');
    this.#options.onGivenBack();
  };
}

/** The ms after which a booking may be used. */
function bookedMs({ terms, costs: _ }: Ask, { marks }: Reply): number {
  let ms = 0;
  for (const [place, term] of terms.entries()) {
    if (term.kind !== 'r' || term.shadow) continue;
    const over = marks[place]! - term.max * term.perToken;
    if (over > 0) ms = Math.max(ms, Math.ceil(over / term.count / 1_000));
  }
  return ms;
}

export function countAllowed(ask: Ask | undefined): void {
  for (const { counted } of ask?.terms ?? []) counted.allowed++;
}

function notYet(judged: Judged, ms: number): Judged {
  return { ...judged, allowed: false, reason: 'limit', remaining: 0, retryAfterMs: ms };
}

function promising(
  grant: { readonly allowed: true; release(): void; refund(): void } & Decision,
): RedisGrant {
  const { allowed, by, remaining, limit, retryAfterMs, resetMs } = grant;
  return {
    ...{ allowed, by, remaining, limit, retryAfterMs, resetMs },
    release: async () => grant.release(),
    refund: async () => grant.refund(),
  };
}
