import { type Clock, systemClock } from '../clock.js';
import type { LimitCounters } from '../counters.js';
import type { Decision } from '../decision.js';
import { RateLimitError } from '../errors.js';
import type { WaitOptions } from '../limiter.js';
import { checkLimits } from '../meters.js';
import type { LimitRequest } from '../request.js';
import { scriptClient } from './client.js';
import type { RedisGrant, RedisReserved, RedisTaken } from './grants.js';
import { closed, type LeaseAsk, LeaseDesk, tighter } from './lease-desk.js';
import { type LeaseOptions, LeaseTerm } from './lease-term.js';
import { LeasedGrant, leasedReservation, type Spent } from './leased-grants.js';
import { decisionOf } from './leases.js';
import { quiet } from './quiet-clock.js';
import { RecentAnswers } from './recent-answers.js';
import type { RedisLimiterOptions, RequestOptions } from './redis-options.js';
import { unlimited } from './reply.js';
import { Shards } from './shards.js';
import type { RedisLimit } from './term.js';

export interface LeasedLimiterOptions extends RedisLimiterOptions {
  /** Which limits are leased, by their names. The others are decided in the store, as by `RedisLimiter`. */
  readonly leases: Readonly<Record<string, LeaseOptions>>;
  /** Slots that the others' keys are spread over, if their scopes have members in common: 64 by default, the same in every process. */
  readonly shards?: number | undefined;
}

const defaultShards = 64;

/**
 * A limiter for a Redis cluster, or for limits that are taken from more often than a store can be asked. A leased limit has its bucket in
 * a slot of its own; each process leases a slice of it, and spends that without asking. So in any window of length `w` no more than burst +
 * rate × w + `overshoot` is let through by it. What is left is returned when it has not been used for 5 s, and by `close`; what a process
 * that died had left counts as spent. A request takes from all its limits or, for longer than the one call that says so, from none.
 */
export class LeasedLimiter {
  readonly #options: LeasedLimiterOptions;
  readonly #clock: Clock;
  readonly #desk: LeaseDesk;
  readonly #shards: Shards;
  readonly #recent: RecentAnswers<RedisTaken>;
  #isClosed = false;

  /** @throws RateLimitError `bad_limit`, `duplicate_limit`, `bad_option` */
  constructor(options: LeasedLimiterOptions) {
    const { client, clock = systemClock, timeoutMs = 250, maxInFlight = 10_000 } = options;
    const { maxWaiting = 10_000, shards = defaultShards } = options;
    if (!Number.isSafeInteger(shards) || shards < 1)
      throw new RateLimitError(
        'bad_option',
        `shards is ${shards}, not a whole number of 1 or more`,
      );
    this.#options = options;
    this.#clock = clock;
    const { stored, leased } = this.#split(options.limits);
    this.#shards = new Shards({ ...options, limits: stored }, shards);
    // Checks all options, those of the limits that are not leased too.
    this.#shards.of({});
    const timers = quiet(clock);
    const link = { client: scriptClient(client), clock: timers, timeoutMs, maxInFlight };
    this.#desk = new LeaseDesk({ ...link, onChange: options.onStoreChange }, maxWaiting, options);
    this.#desk.setTerms(leased);
    this.#recent = new RecentAnswers(timers);
  }

  /** As `RedisLimiter.take`. An id is known to the leased limits only in the process that it was given to. */
  take(request: LimitRequest, { id }: RequestOptions = {}): Promise<RedisTaken> {
    if (this.#isClosed) return Promise.reject(closed());
    if (id !== undefined) return this.#once(id, request, () => this.#take(request, id));
    try {
      if (this.#shards.isEmpty) {
        const now = this.#clock.now();
        const spent = this.#desk.spendNow(request, now);
        if (spent !== undefined) return Promise.resolve(this.#grant(spent, now));
      }
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#take(request, id);
  }

  /** What `take` would say; takes nothing, and is not counted. @throws StoreFailure */
  async peek(request: LimitRequest): Promise<Decision> {
    const [leased, stored] = await Promise.all([
      this.#desk.peek(request),
      this.#shards.isEmpty ? unlimited : this.#shards.of(request).peek(request),
    ]);
    return leased === undefined ? stored : tighter(stored, leased);
  }

  /** As `RedisLimiter.wait`: first for the limits that are not leased, so that who is held up by an own key leases nothing. */
  async wait(
    request: LimitRequest,
    options: WaitOptions & RequestOptions = {},
  ): Promise<RedisTaken> {
    const { signal, timeoutMs = Number.POSITIVE_INFINITY, id } = options;
    signal?.throwIfAborted();
    if (this.#isClosed) throw closed();
    const untilMs = this.#clock.now() + timeoutMs;
    const wait = (): Promise<RedisTaken> => this.#wait(request, untilMs, { ...options });
    return id === undefined ? await wait() : await this.#once(id, request, wait);
  }

  /** As `RedisLimiter.reserve`. */
  async reserve(
    request: LimitRequest,
    estimate: number,
    options: RequestOptions = {},
  ): Promise<RedisReserved> {
    if (this.#isClosed) throw closed();
    const asked = { ...request, cost: estimate };
    const spent = await this.#desk.spend(asked);
    if (!Array.isArray(spent)) return spent;
    if (this.#shards.isEmpty)
      return leasedReservation(this.#grant(spent, this.#clock.now()), undefined, asked);
    const stored = await this.#stored(spent, () =>
      this.#shards.of(request).reserve(request, estimate, options),
    );
    if (!stored.allowed) return stored;
    return leasedReservation(this.#grant(spent, this.#clock.now(), stored), stored, asked);
  }

  /** As `RedisLimiter.block`; a key of a leased limit cannot be blocked, since the processes do not ask. */
  async block(name: string, request: LimitRequest, ms: number): Promise<number> {
    if (this.#desk.termOf(name) !== undefined)
      throw new RateLimitError(
        'bad_option',
        `a key of the leased limit ${JSON.stringify(name)} cannot be blocked; block one of another limit`,
      );
    return await this.#shards.of(request).block(name, request, ms);
  }

  /** As `RedisLimiter.reset`; a leased bucket is full then, and what was leased of it stays so. */
  async reset(name: string, request: LimitRequest): Promise<void> {
    const term = this.#desk.termOf(name);
    if (term === undefined) await this.#shards.of(request).reset(name, request);
    else await this.#desk.leases.fill(term, term.keyOf(request));
  }

  /**
   * As `RedisLimiter.setLimits`. A limit stays leased or not by its name; one that becomes so starts empty.
   *
   * @throws RateLimitError `bad_limit`, `duplicate_limit`; nothing has changed then
   */
  setLimits(limits: readonly RedisLimit[]): void {
    const { stored, leased } = this.#split(limits);
    this.#shards.check(stored);
    this.#shards.setLimits(stored);
    this.#desk.setTerms(leased);
  }

  counters(): LimitCounters[] {
    return [...this.#desk.counters(), ...this.#shards.counters()];
  }

  /** Ends all waits, and returns what is left of the leases: resolves when the store has it, or did not answer in time. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#shards.close();
    await this.#desk.close(closed());
  }

  #split(limits: readonly RedisLimit[]): {
    readonly stored: readonly RedisLimit[];
    readonly leased: readonly LeaseTerm[];
  } {
    checkLimits(limits);
    const { leases, prefix = 'gatebook', expectedProcesses = 1 } = this.#options;
    const names = new Set(Object.keys(leases));
    const leased = limits.filter(({ name }) => names.has(name));
    return {
      stored: limits.filter(({ name }) => !names.has(name)),
      leased: leased.map(
        (limit) => new LeaseTerm(limit, leases[limit.name]!, prefix, expectedProcesses),
      ),
    };
  }

  #once(id: string, request: LimitRequest, ask: () => Promise<RedisTaken>): Promise<RedisTaken> {
    const { actor, channel, session, tool, cost } = request;
    const digest = JSON.stringify([actor, channel, session, tool, cost].map((one) => one ?? null));
    return this.#recent.of(id, digest, ask);
  }

  /** From the leases first: what is put back to them if the store refuses is not seen by others. */
  async #take(request: LimitRequest, id: string | undefined): Promise<RedisTaken> {
    const spent =
      this.#desk.spendNow(request, this.#clock.now()) ?? (await this.#desk.spend(request));
    if (!Array.isArray(spent)) return spent;
    if (this.#shards.isEmpty) return this.#grant(spent, this.#clock.now());
    const stored = await this.#stored(spent, () => this.#shards.of(request).take(request, { id }));
    return stored.allowed ? this.#grant(spent, this.#clock.now(), stored, stored) : stored;
  }

  async #wait(
    request: LimitRequest,
    untilMs: number,
    { signal, id }: WaitOptions & RequestOptions,
  ): Promise<RedisTaken> {
    const never = this.#desk.never(request);
    if (never !== undefined) return never;
    let stored: RedisGrant | undefined;
    if (!this.#shards.isEmpty) {
      const timeoutMs = untilMs - this.#clock.now();
      const got = await this.#shards.of(request).wait(request, { signal, timeoutMs, id });
      if (!got.allowed) return got;
      stored = got;
    }
    const ask: LeaseAsk = { untilMs, signal };
    try {
      const spent = await this.#desk.spend(request, ask);
      if (Array.isArray(spent)) return this.#grant(spent, this.#clock.now(), stored, stored);
      await stored?.refund();
      return spent;
    } catch (error) {
      await stored?.refund();
      throw error;
    }
  }

  /** Puts back what was spent if the store does not let it in. */
  async #stored<Taken extends { readonly allowed: boolean }>(
    spent: readonly Spent[],
    ask: () => Promise<Taken>,
  ): Promise<Taken> {
    let taken: Taken | undefined;
    try {
      taken = await ask();
      return taken;
    } finally {
      if (taken?.allowed !== true) this.#desk.putBack(spent);
    }
  }

  #grant(
    spent: readonly Spent[],
    now: number,
    stored: Decision = unlimited,
    inner?: RedisGrant,
  ): LeasedGrant {
    let decision = stored;
    for (const { term, lease } of spent) {
      term.allowed++;
      decision = tighter(decision, decisionOf(term, lease.left(now)));
    }
    return new LeasedGrant(decision, this.#desk.leases, spent, inner);
  }
}
