import type { Clock } from '../clock.js';
import type { LimitCounters } from '../counters.js';
import type { Decision } from '../decision.js';
import { RateLimitError } from '../errors.js';
import type { WaitOptions } from '../limiter.js';
import { checkLimits } from '../meters.js';
import type { LimitRequest } from '../request.js';
import { type Ask, Asker } from './ask.js';
import type { Booked } from './attempt.js';
import { Attempts, countAllowed } from './attempts.js';
import { scriptClient } from './client.js';
import { Denials } from './denials.js';
import { Fallback } from './fallback.js';
import { Granted } from './granted.js';
import type { RedisReserved, RedisSettled, RedisTaken } from './grants.js';
import { Link } from './link.js';
import { Permits } from './permits.js';
import { scriptBudget } from './plan.js';
import { quiet } from './quiet-clock.js';
import { RedisLine } from './redis-line.js';
import { type RedisLimiterOptions, type RequestOptions, withDefaults } from './redis-options.js';
import { decisionOf, type Judged, judge, unlimited } from './reply.js';
import { keysScript, Store } from './store.js';
import { type RedisLimit, Term } from './term.js';

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
  readonly #attempts: Attempts;
  readonly #line: RedisLine;
  #terms: readonly Term[] = [];
  readonly #scripts = scriptBudget();
  #asker = new Asker([], this.#scripts);
  readonly #fallback: Fallback;
  #closed = false;

  /** @throws RateLimitError `bad_limit`, `duplicate_limit`, `bad_option` */
  constructor(options: RedisLimiterOptions) {
    const { client, onStoreChange } = options;
    const { prefix, clock, timeoutMs, maxWaiting, maxInFlight, expectedProcesses } =
      withDefaults(options);
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
    this.#store = new Store(this.#link, timers, prefix, options);
    this.#permits = new Permits(this.#link, timers, keysScript, this.#store.bornKey);
    this.#denials = new Denials(timers);
    this.#attempts = new Attempts({
      ...{ store: this.#store, permits: this.#permits, denials: this.#denials },
      ...{ fallback: this.#fallback, clock },
      gapsMade: () => this.#line.gapsMade,
      onGivenBack: () => this.#changed(),
    });
    this.#line = new RedisLine(clock, maxWaiting, {
      attempt: (ask, idKey, mode) => this.#attempts.attempt(ask, idKey, mode),
      confirm: (idKeys) => this.#store.known(idKeys),
      unbook: (booked) => this.#attempts.unbook(booked),
      without: (ask, error) => this.#attempts.without(ask, error),
    });
    this.setLimits(options.limits);
  }

  /** Takes at once or refuses; what somebody waits for in this process is refused too. @throws RateLimitError `bad_store`, see `evictions` */
  take(request: LimitRequest, options?: RequestOptions): Promise<RedisTaken> {
    // Not an async function, and by the shortest way: this is what is called most.
    try {
      const ask = this.#ask(request);
      const id = options?.id;
      const known =
        id === undefined ? (this.#line.claimed(ask) ?? this.#denials.find(ask)) : undefined;
      if (known !== undefined) return Promise.resolve(this.#attempts.refuse(ask, known));
      return this.#attempts.take(ask, this.#store.idKeyOf(id));
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
    return decisionOf(judge(ask, { ...reply, code: 'refused' }));
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
      const got = await this.#attempts.attempt(ask, idKey, mode);
      if (signal?.aborted === true) {
        if ('booked' in got) this.#line.giveUp(ask, idKey, got);
        else if ('grant' in got) await got.grant.refund();
        throw signal.reason;
      }
      if ('failed' in got) return got.failed;
      if ('grant' in got && !('booked' in got)) return got.grant;
      first = got;
    } else first = { judged: queued };
    if (first.judged.reason === 'never') return this.#attempts.refuse(ask, first.judged);
    const leftMs = timeoutMs - (this.#clock.now() - started);
    const done = await this.#line.wait({ ask, idKey, first, leftMs, signal });
    if ('booked' in done) countAllowed(done.grant.held?.ask);
    if ('grant' in done) return done.grant;
    if ('failed' in done) return done.failed;
    return this.#attempts.refuse(ask, done.judged, 'why' in done ? done.why : undefined);
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
        return await this.#attempts.settle(held, actual);
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
    this.#attempts.close();
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

  /** Something was given back here. */
  #changed(): void {
    this.#denials.clear();
    this.#line.changed();
  }
}
