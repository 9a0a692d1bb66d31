import { type Clock, systemClock } from '../clock.js';
import type { LimitCounters } from '../counters.js';
import type { Decision, Refusal } from '../decision.js';
import { RateLimitError } from '../errors.js';
import type { WaitOptions } from '../limiter.js';
import type { Reason } from '../meter.js';
import { checkLimits } from '../meters.js';
import type { LimitRequest } from '../request.js';
import { type Ask, Asker } from './ask.js';
import { type RedisClient, scriptClient } from './client.js';
import { Denials } from './denials.js';
import { Fallback } from './fallback.js';
import { amountsOf, corrections, type Held } from './giving.js';
import { Granted } from './granted.js';
import type { RedisGrant, RedisReserved, RedisSettled, RedisTaken } from './grants.js';
import { Link } from './link.js';
import { Permits } from './permits.js';
import { scriptBudget } from './plan.js';
import { quiet } from './quiet-clock.js';
import { type Booked, RedisLine } from './redis-line.js';
import { type Judged, judge, type Reply, unlimited } from './reply.js';
import { keysScript, type Mode, Store } from './store.js';
import { StoreFailure } from './store-failure.js';
import { type RedisLimit, Term } from './term.js';

export interface RedisLimiterOptions {
  /** As in memory; each may say besides what becomes of its requests while the store is away. */
  readonly limits: readonly RedisLimit[];
  /** Of `ioredis` or of `redis`; it is yours to connect and to close. */
  readonly client: RedisClient;
  /** All keys begin with it, in braces, so that a cluster keeps them in one slot: `gatebook` by default. */
  readonly prefix?: string | undefined;
  /** After so long the store counts as away for a call: 250 ms by default. */
  readonly timeoutMs?: number | undefined;
  /** How many may wait at once: 10,000 by default. One more is refused. */
  readonly maxWaiting?: number | undefined;
  /** Calls to the store that may be under way: 10,000 by default. One more is treated as if the store were away. */
  readonly maxInFlight?: number | undefined;
  /** Among how many processes a limit that counts locally while the store is away is shared: 1 by default. */
  readonly expectedProcesses?: number | undefined;
  /** Time-outs and waits; what is counted goes by the store's clock. */
  readonly clock?: Clock | undefined;
  /** Told when the store is found to be away (false), and when it is back (true). */
  readonly onStoreChange?: ((isUp: boolean) => void) | undefined;
}

export interface RequestOptions {
  /** The same id within 30 s is the same request, and gets the same grant until that is given back; for those who try again. */
  readonly id?: string | undefined;
}

/**
 * The limiter of many processes: what it counts lies in Redis or Valkey, and each decision is one script there, which takes from all
 * limits or from none. Time is the server's.
 */
export class RedisLimiter {
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #link: Link;
  readonly #store: Store;
  readonly #permits: Permits;
  readonly #denials: Denials;
  readonly #line: RedisLine;
  #terms: readonly Term[] = [];
  readonly #scripts = scriptBudget();
  #asker = new Asker([], this.#scripts);
  readonly #fallback: Fallback;
  #closed = false;
  /** Bookings that are being given back; the last of them. */
  #unbooking = 0;
  #unbooked: Promise<void> = Promise.resolve();

  /** @throws RateLimitError `bad_limit`, `duplicate_limit`, `bad_option` */
  constructor(options: RedisLimiterOptions) {
    const { client, prefix = 'gatebook', clock = systemClock, onStoreChange } = options;
    const { timeoutMs = 250, maxWaiting = 10_000, maxInFlight = 10_000 } = options;
    const { expectedProcesses = 1 } = options;
    checkOption('timeoutMs', timeoutMs, timeoutMs > 0);
    checkOption('maxWaiting', maxWaiting, maxWaiting >= 0);
    checkOption('maxInFlight', maxInFlight, maxInFlight >= 1);
    checkOption('expectedProcesses', expectedProcesses, expectedProcesses >= 1);
    if (prefix === '' || /[{}]/.test(prefix))
      throw new RateLimitError(
        'bad_option',
        `prefix is ${JSON.stringify(prefix)}; it must be text without braces`,
      );
    this.#prefix = prefix;
    this.#clock = clock;
    this.#fallback = new Fallback([], expectedProcesses, clock);
    const timers = quiet(clock);
    this.#link = new Link({
      client: scriptClient(client),
      clock: timers,
      timeoutMs,
      maxInFlight,
      onChange: onStoreChange,
    });
    this.#store = new Store(this.#link, timers, prefix);
    this.#permits = new Permits(this.#link, timers, keysScript, this.#store.bornKey);
    this.#denials = new Denials(timers);
    this.#line = new RedisLine(clock, maxWaiting, {
      attempt: (ask, idKey, mode) => this.#attempt(ask, idKey, mode),
      confirm: (idKeys) => this.#store.known(idKeys),
      unbook: (booked) => this.#unbook(booked),
      without: (ask, error) => this.#without(ask, error),
    });
    this.setLimits(options.limits);
  }

  /** Takes at once or refuses; what somebody waits for in this process is refused too. */
  take(request: LimitRequest, options?: RequestOptions): Promise<RedisTaken> {
    // Not an async function, and by the shortest way: this is what is called most.
    try {
      const ask = this.#ask(request);
      const id = options?.id;
      const known =
        id === undefined ? (this.#line.claimed(ask) ?? this.#denials.find(ask)) : undefined;
      if (known !== undefined) return Promise.resolve(this.#refuse(ask, known));
      const idKey = this.#store.idKeyOf(id);
      if (!ask.plan.isPlain) return this.#take(ask, idKey);
      const askedMs = this.#clock.now();
      return this.#store.askPlain(ask, idKey).then(
        (raw) =>
          Array.isArray(raw) && raw[0] === 1
            ? this.#grantPlain(ask, idKey, raw as readonly unknown[])
            : this.#takeAnswered(ask, idKey, raw, askedMs),
        (error: unknown) => this.#fail(ask, error),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** What `take` would say; takes nothing, and is not counted. @throws StoreFailure */
  async peek(request: LimitRequest): Promise<Decision> {
    const ask = this.#ask(request);
    if (ask.terms.length === 0) return unlimited;
    const reply = await this.#store.take(ask, this.#store.bornKey, 'peek');
    // What it lacks is that before anything is taken.
    return plainDecision(judge(ask, { ...reply, code: 'refused' }));
  }

  /**
   * Takes as soon as it may. In one process by arrival, as in memory; among processes no order is promised. A grant costs two script
   * calls at most: one that takes what has yet to come in, and one when it is there, shared by all who are ready then. Who was held up by
   * an own key first may need one more, and permits are asked for again until they are there.
   */
  async wait(
    request: LimitRequest,
    options: WaitOptions & RequestOptions = {},
  ): Promise<RedisTaken> {
    const { signal, timeoutMs = Number.POSITIVE_INFINITY, id } = options;
    signal?.throwIfAborted();
    const ask = this.#ask(request);
    const idKey = this.#store.idKeyOf(id);
    const started = this.#clock.now();
    const queued = this.#line.queued(ask);
    let first: Booked | { readonly judged: Judged };
    if (queued === undefined) {
      const mode = this.#line.isFull ? 'take' : { bookMs: timeoutMs };
      const got = await this.#attempt(ask, idKey, mode);
      if (signal?.aborted === true) {
        if ('booked' in got) this.#line.giveUp(ask, idKey, got);
        else if ('grant' in got) await got.grant.refund();
        throw signal.reason;
      }
      if ('failed' in got) return got.failed;
      if ('grant' in got && !('booked' in got)) return got.grant;
      first = got;
    } else first = { judged: queued };
    if (first.judged.reason === 'never') return this.#refuse(ask, first.judged);
    const leftMs = timeoutMs - (this.#clock.now() - started);
    const done = await this.#line.wait({ ask, idKey, first, leftMs, signal });
    if ('booked' in done) countAllowed(done.grant.held?.ask);
    if ('grant' in done) return done.grant;
    if ('failed' in done) return done.failed;
    return this.#refuse(ask, done.judged, 'why' in done ? done.why : undefined);
  }

  /** Takes an estimate, to be corrected by what it turns out to cost; see `Limiter.reserve`. */
  async reserve(
    request: LimitRequest,
    estimate: number,
    options: RequestOptions = {},
  ): Promise<RedisReserved> {
    const taken = await this.take({ ...request, cost: estimate }, options);
    if (!taken.allowed) return taken;
    const held = taken instanceof Granted ? taken.held : undefined;
    const { by, remaining, limit, retryAfterMs, resetMs } = taken;
    let open = true;
    return {
      ...{ by, remaining, limit, retryAfterMs, resetMs },
      allowed: true,
      settle: async (actual): Promise<RedisSettled> => {
        if (!(actual >= 0 && actual < Number.POSITIVE_INFINITY))
          throw new RateLimitError(
            'bad_request',
            `what it cost is ${actual}, not a number of 0 or more`,
          );
        if (!open || held === undefined) return { overspent: 0, pending: false };
        open = false;
        this.#permits.remove(held);
        this.#changed();
        return await this.#store.give(held, corrections(held, actual), 'settle');
      },
      release: async () => {
        if (open) await taken.refund();
        open = false;
      },
    };
  }

  /** Blocks the key that a request has in a limit, in all processes: twice as long each time it is blocked again soon. @throws StoreFailure */
  async block(name: string, request: LimitRequest, ms: number): Promise<number> {
    if (!(ms > 0 && ms < Number.POSITIVE_INFINITY))
      throw new RateLimitError('bad_request', `a key cannot be blocked for ${ms} ms`);
    const blockedMs = await this.#store.block(this.#termOf(name).keyIn(request), ms);
    // What was known to refuse before may now do so for longer.
    this.#denials.clear();
    return blockedMs;
  }

  /** Makes the key that a request has in a limit as if it had never been used, nor blocked. @throws StoreFailure */
  async reset(name: string, request: LimitRequest): Promise<void> {
    const term = this.#termOf(name);
    await this.#store.reset(term, term.keyIn(request));
    this.#changed();
  }

  /**
   * Says that whatever is not in the store was never used. A store that is new, or has lost its data, cannot tell that: buckets start
   * empty there, quotas used up for their period, and permits are given out after 30 s. @throws StoreFailure
   */
  async declareUnused(): Promise<void> {
    await this.#store.declareUnused();
    this.#changed();
  }

  /**
   * Puts other limits in the place of these. A limit of the same name, kind, scope and period inherits what was used of its keys, in
   * tokens; other processes keep theirs until they are told too, and each counts by its own numbers. What has come in since a key was last
   * written comes in at the new rate; the store forgets a key when it would have been full at the rate that it was written by.
   *
   * @throws RateLimitError `bad_limit`, `duplicate_limit`; nothing has changed then
   */
  setLimits(limits: readonly RedisLimit[]): void {
    checkLimits(limits);
    for (const { name, onStoreFailure = 'deny' } of limits) {
      if (!['deny', 'local', 'allow'].includes(onStoreFailure))
        throw new RateLimitError(
          'bad_limit',
          `the limit ${JSON.stringify(name)}: onStoreFailure is ${JSON.stringify(onStoreFailure)}; there is deny, local, allow`,
        );
    }
    const terms = limits.map((limit) => new Term(limit, this.#prefix));
    this.#fallback.setLimits(limits);
    const before = new Map(this.#terms.map((term) => [term.name, term]));
    for (const term of terms) {
      const old = before.get(term.name);
      if (old === undefined) continue;
      term.counted = old.counted;
      old.giveWay(term);
    }
    this.#terms = terms;
    const asker = new Asker(terms, this.#scripts);
    this.#asker = asker;
    this.#denials.clear();
    this.#line.relimit((request) => asker.askOf(request));
  }

  /** What this process has decided; `keys` is 0, since the store has them. */
  counters(): LimitCounters[] {
    return this.#terms.map(({ name, counted }) => ({ limit: name, ...counted, keys: 0 }));
  }

  /** Ends all waits and timers; permits that are held lapse within 30 s unless they were released. The client stays open. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#line.close(new RateLimitError('closed', 'the limiter is closed'));
    this.#permits.close();
    this.#store.close();
    this.#link.close();
  }

  #ask(request: LimitRequest): Ask {
    if (this.#closed) throw new RateLimitError('closed', 'the limiter is closed');
    return this.#asker.askOf(request);
  }

  #termOf(name: string): Term {
    const term = this.#terms.find((each) => each.name === name);
    if (term !== undefined) return term;
    const names = this.#terms.map((each) => each.name).join(', ');
    throw new RateLimitError(
      'unknown_limit',
      `there is no limit ${JSON.stringify(name)}; there is ${names}`,
    );
  }

  async #take(ask: Ask, idKey: string): Promise<RedisTaken> {
    const got = await this.#attempt(ask, idKey, 'take');
    // Somebody waits for it, with the same id.
    if ('booked' in got) return this.#refuse(ask, got.judged, 'queue');
    if ('grant' in got) return got.grant;
    return 'failed' in got ? got.failed : this.#refuse(ask, got.judged);
  }

  async #attempt(ask: Ask, idKey: string, mode: Mode): Promise<Attempt> {
    if (ask.terms.length === 0)
      return { grant: new Granted(unlimited, ask, idKey, { raw: undefined }, this.#giveBack) };
    // What was given up here is given back before more is booked, or that would be booked behind it.
    if (typeof mode === 'object' && this.#unbooking > 0) await this.#unbooked;
    const { gapsMade } = this.#line;
    const askedMs = this.#clock.now();
    try {
      const reply = await this.#store.take(ask, idKey, mode);
      return this.#answer(ask, idKey, reply, askedMs, gapsMade);
    } catch (error) {
      return this.#without(ask, error);
    }
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
      this.#denials.add(ask, judged, askedMs);
      return { judged };
    }
    for (const place of judged.shadowed) ask.terms[place]!.counted.shadowRefused++;
    const grant = new Granted(judged, ask, idKey, { reply }, this.#giveBack);
    const { held } = grant;
    if (held !== undefined && ask.terms.some(({ kind }, at) => kind === 'c' && ask.costs[at]! > 0))
      this.#permits.add(held);
    if (reply.code === 'booked')
      return { grant, booked: reply, judged: notYet(judged, bookedMs(ask, reply)), gapsMade };
    countAllowed(ask);
    return { grant };
  }

  #without(ask: Ask, error: unknown): Extract<Attempt, { failed: unknown }> {
    return { failed: this.#fail(ask, error) };
  }

  #unbook({ grant }: Booked): void {
    const { held } = grant;
    if (held === undefined) return;
    this.#permits.remove(held);
    this.#unbooking++;
    this.#unbooked = this.#store.unbook(held.ask, held.idKey).finally(() => {
      this.#unbooking--;
      this.#changed();
    });
  }

  /** What the script that is made for its limits answered with a refusal, or with what only the other knows more of. */
  async #takeAnswered(ask: Ask, idKey: string, raw: unknown, askedMs: number): Promise<RedisTaken> {
    let got: Attempt;
    try {
      const reply = await this.#store.takeOn(ask, idKey, raw);
      got = this.#answer(ask, idKey, reply, askedMs, this.#line.gapsMade);
    } catch (error) {
      return this.#fail(ask, error);
    }
    // Somebody waits for it, with the same id.
    if ('booked' in got) return this.#refuse(ask, got.judged, 'queue');
    return 'grant' in got ? got.grant : this.#refuse(ask, got.judged);
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
    const taken = this.#fallback.take(ask, ask.request, error.retryAfterMs);
    return taken.allowed ? promising(taken) : taken;
  }

  #refuse(ask: Ask, judged: Judged, why?: Reason): Refusal {
    if (judged.place !== -1) ask.terms[judged.place]!.counted.refused++;
    for (const place of judged.shadowed) ask.terms[place]!.counted.shadowRefused++;
    return { ...plainDecision(judged), allowed: false, reason: why ?? judged.reason ?? 'limit' };
  }

  readonly #giveBack = async (held: Held, permits: boolean): Promise<void> => {
    if (permits) this.#permits.remove(held);
    await this.#store.give(held, amountsOf(held, permits), permits ? 'release' : 'refund');
    this.#changed();
  };

  /** Something was given back here. */
  #changed(): void {
    this.#denials.clear();
    this.#line.changed();
  }
}

/** What came of one call. */
export type Attempt =
  | { readonly grant: Granted }
  /** Tokens were taken that have yet to come in. */
  | {
      readonly grant: Granted;
      readonly booked: Reply;
      readonly judged: Judged;
      readonly gapsMade: number;
    }
  | { readonly judged: Judged }
  | { readonly failed: RedisTaken };

function plainDecision({ shadowed: _, lacking: __, place: ___, ...decision }: Judged): Decision {
  return decision;
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

function countAllowed(ask: Ask | undefined): void {
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

function checkOption(name: string, value: number, isGood: boolean): void {
  if (Number.isFinite(value) && isGood) return;
  throw new RateLimitError(
    'bad_option',
    `${name} is ${value}; see RedisLimiterOptions for what it may be`,
  );
}
