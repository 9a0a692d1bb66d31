import { createHash } from 'node:crypto';
import {
  type Clock,
  type Decision,
  type Grant,
  keyMaker,
  type Limit,
  Limiter,
  type LimitRequest,
  RateLimitError,
  type Refusal,
  requestOf,
  type Snapshot,
  systemClock,
} from '@gatebook/ratelimit';
import { type LimitSpec, limitOf, mostOf } from '../../limits.js';
import { GateError } from '../errors.js';
import { permitMs } from './calls-under-way.js';
import { periodMsMax, type QuotaJournal, resetId } from './quota-journal.js';

/** Different limits of all the configurations that are in use over one log. */
export const limitsMax = 256;
/** One that nobody used for so long may be forgotten for another, once its buckets are full again. */
const idleMs = 3_600_000;
/** Buckets of which is remembered that what counts as used of them is used. */
const metMax = 100_000;
/** Of one quota: each has a line in the journal. */
const quotaKeysMax = 100_000;

/** A request among the limits of several configurations, of which only its own apply. */
interface OwnRequest extends LimitRequest {
  readonly own: ReadonlySet<string>;
  /** Takes so much instead of what it costs. */
  readonly spend?: number | undefined;
}

/** What counts as used of every bucket of a limit, at a time in ms since 1970; it comes back from then on. */
interface Floor {
  readonly used: number;
  readonly atMs: number;
}

interface Shared {
  /** What it says, as a digest: its name in the limiter. */
  readonly id: string;
  readonly spec: LimitSpec;
  /** Whether it is about a request at all. */
  readonly isMetBy: (request: LimitRequest) => boolean;
  /** Of what is in flight: until when calls may be under way of which nobody has spoken yet. */
  unsureUntilMs: number;
  usedMs: number;
  /** Where what was used is not known: of buckets that nobody has met yet too. Undefined once all of it has come back. */
  floor: Floor | undefined;
  /** The buckets of which so much is used by now. */
  readonly met: Set<string>;
}

interface Configuration {
  readonly own: ReadonlySet<string>;
  /** Of what is in flight. */
  readonly inFlight: readonly Shared[];
  readonly quotas: readonly Shared[];
  readonly limits: readonly Shared[];
}

export interface LimitsSnapshot {
  readonly specs: readonly LimitSpec[];
  readonly used: Snapshot;
  /** Of each of the specs. */
  readonly floors?: readonly (Floor | null)[] | undefined;
  /** As in the options: what limits that are in none of the specs begin with. */
  readonly emptyAtMs?: number | undefined;
}

export interface SharedLimitsOptions {
  readonly clock?: Clock | undefined;
  /**
   * When the process that held the buckets before was last known to live, in ms since 1970, where it ended without saying what was
   * used: all of it then. Undefined where nothing is unknown.
   */
  readonly emptyAtMs?: number | undefined;
  /** Where quotas are counted beyond the life of this process. */
  readonly journal?: QuotaJournal | undefined;
}

/** Names a list of limits by what they say: equal lists have equal names. */
export function configurationId(specs: readonly LimitSpec[]): string {
  return createHash('sha256').update(specs.map(idOf).join()).digest('hex').slice(0, 32);
}

function idOf({ name, rate, burst, scope = [], tool, cost, shadow, ...kind }: LimitSpec): string {
  const { count = null, perMs = null } = rate ?? {};
  const facts: unknown[] = [name, count, perMs, burst ?? null, scope, tool ?? null];
  facts.push(cost ?? 'cost', !!shadow);
  if (rate === undefined) facts.push(kind.inFlight ?? null, kind.quota ?? null);
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}

/**
 * The buckets of all gates over one log. Each gate registers the limits of its configuration. Limits that say the same are one, so
 * gates with the same limits share the buckets, and a gate with other limits has its own.
 */
export class SharedLimits {
  readonly #clock: Clock;
  #emptyAtMs: number | undefined;
  readonly #limiter: Limiter;
  readonly #shared = new Map<string, Shared>();
  readonly #configurations = new Map<string, Configuration>();
  readonly #journal: QuotaJournal | undefined;

  constructor({ clock = systemClock, emptyAtMs, journal }: SharedLimitsOptions = {}) {
    this.#clock = clock;
    this.#emptyAtMs = emptyAtMs;
    this.#journal = journal;
    this.#limiter = new Limiter({ limits: [], clock });
  }

  knows(configuration: string): boolean {
    return this.#configurations.has(configuration);
  }

  /**
   * Makes a configuration's limits known and returns its name. Where it `replaces` another one, what is used of a limit there is used
   * of the one of the same name here too, which may be known already: an edit fills no bucket, nor does taking it back.
   *
   * @throws RateLimitError `bad_limit`, `duplicate_limit`; GateError `too_many_limits`; nothing has changed then
   */
  register(specs: readonly LimitSpec[], replaces?: string): string {
    const name = configurationId(specs);
    const before = this.#configurations.get(replaces ?? '');
    const limits = this.#configurations.get(name)?.limits ?? this.#add(name, specs);
    if (before !== undefined) this.#inherit(limits, before.limits);
    return name;
  }

  #add(name: string, specs: readonly LimitSpec[]): readonly Shared[] {
    const limits = specs.map((spec) => this.#sharedOf(spec));
    const added = limits.filter(({ id }) => !this.#shared.has(id));
    this.#makeRoom(added, limits);
    this.#setLimits([...this.#shared.values(), ...added]);
    for (const shared of added) {
      this.#shared.set(shared.id, shared);
      this.#restoreQuota(shared);
    }
    this.#configurations.set(name, {
      own: new Set(limits.map(({ id }) => id)),
      inFlight: limits.filter(({ spec }) => spec.inFlight !== undefined),
      quotas: limits.filter(({ spec }) => spec.quota !== undefined),
      limits,
    });
    return limits;
  }

  /**
   * Takes from all limits of the configuration, or from none.
   *
   * @throws GateError `unknown_limits`
   */
  take(configuration: string, request: LimitRequest): Grant | Refusal {
    const own = this.#ownRequest(configuration, request);
    const answer = this.#unsure(configuration, own) ?? this.#limiter.take(own);
    if (!answer.allowed) return answer;
    try {
      this.count(configuration, request);
    } catch (error) {
      answer.refund();
      throw error;
    }
    return answer;
  }

  /** @throws GateError `unknown_limits` */
  peek(configuration: string, request: LimitRequest): Decision {
    const own = this.#ownRequest(configuration, request);
    return this.#unsure(configuration, own) ?? this.#limiter.peek(own);
  }

  /** The limits of what is in flight that a request meets. */
  inFlightOf(configuration: string, request: LimitRequest): string[] {
    const { inFlight = [] } = this.#configurations.get(configuration) ?? {};
    if (inFlight.length === 0) return [];
    return inFlight.flatMap(({ id, isMetBy }) => (isMetBy(request) ? [id] : []));
  }

  /** Counts a call that is under way already in these limits of what is in flight, also where there is no room for it. */
  resume(own: readonly string[], request: LimitRequest): Pick<Grant, 'release'> {
    const resumed: OwnRequest = { ...plain(request), own: new Set(own) };
    return this.#limiter.resume(resumed);
  }

  /**
   * Writes down what is used by now of the quotas that a request meets.
   *
   * @throws GateError `state_unavailable` where it cannot be written
   */
  count(configuration: string, request: LimitRequest): void {
    if (this.#journal === undefined) return;
    for (const { id, spec, isMetBy } of this.#configurations.get(configuration)?.quotas ?? []) {
      if (!isMetBy(request)) continue;
      const { used, resetMs } = this.#limiter.usedBy(id, request);
      const key = keyMaker(spec.scope ?? [])(request);
      const atMs = this.#clock.wall();
      this.#journal.write({ id, key, atMs, used, untilMs: atMs + resetMs });
    }
  }

  /** The name that the operator gave the limit which a decision is by. */
  nameOf({ by }: Decision): string {
    return this.#shared.get(by)?.spec.name ?? by;
  }

  /** Makes the buckets of all limits full, or of those with this name; of all, those that nobody has named yet too. Returns how many limits that were. */
  reset(name?: string): number {
    if (name === undefined) this.#emptyAtMs = undefined;
    const all = [...this.#shared.values()];
    const meant = all.filter(({ spec }) => name === undefined || spec.name === name);
    // A permit is given back by the call that has it.
    const emptied = meant.filter(({ spec }) => spec.inFlight === undefined);
    this.#setLimits(all.filter((shared) => !emptied.includes(shared)));
    this.#setLimits(all);
    for (const shared of meant) {
      setFloor(shared, undefined);
      shared.unsureUntilMs = 0;
    }
    const quotas = meant.filter(({ spec }) => spec.quota !== undefined);
    const ids = quotas.flatMap(({ id }) => [id, floorId(id)]);
    this.#journal?.forget(new Set(ids), name === undefined);
    // What was missing of the others is so still.
    if (this.#journal?.missingMs !== undefined) {
      const atMs = this.#clock.wall();
      for (const { id } of quotas) this.#writeMark(resetId(id), { used: 0, atMs });
    }
    return meant.length;
  }

  /** What is used of every bucket that is not full. */
  buckets(): { readonly spec: LimitSpec; readonly used: Snapshot['limits'][number]['used'] }[] {
    const { limits } = this.#limiter.snapshot();
    const permits = new Map(this.#limiter.permits().map(({ limit, held }) => [limit, held]));
    return this.#limiter.limits.map(({ name }, place) => ({
      spec: this.#shared.get(name)!.spec,
      used: permits.get(name) ?? limits[place]!.used,
    }));
  }

  snapshot(): LimitsSnapshot {
    const all = this.#limiter.limits.map(({ name }) => this.#shared.get(name)!);
    return {
      specs: all.map(({ spec }) => spec),
      used: this.#limiter.snapshot(),
      floors: all.map((shared) => this.#storedFloor(shared)),
      emptyAtMs: this.#emptyAtMs,
    };
  }

  /** Goes on from a snapshot, at the beginning. */
  restore({ specs, used, floors = [], emptyAtMs }: LimitsSnapshot): void {
    this.#emptyAtMs = emptyAtMs === undefined ? undefined : finite(emptyAtMs);
    for (const [place, spec] of specs.entries()) {
      const shared = this.#sharedOf(spec);
      const found = floors[place];
      const floor =
        found == null ? undefined : { used: finite(found.used), atMs: finite(found.atMs) };
      if (spec.inFlight !== undefined) {
        shared.unsureUntilMs = 0;
        if (floor !== undefined) this.#setUnknown(shared, floor.atMs);
      } else if (spec.quota === undefined || this.#journal === undefined) setFloor(shared, floor);
      this.#shared.set(shared.id, shared);
    }
    this.#setLimits([...this.#shared.values()]);
    this.#limiter.restore(used);
    for (const shared of this.#shared.values()) this.#restoreQuota(shared);
  }

  #sharedOf(spec: LimitSpec): Shared {
    const id = idOf(spec);
    const known = this.#shared.get(id);
    if (known !== undefined) return known;
    const usedMs = this.#clock.now();
    const shared: Shared = {
      ...{ id, spec, usedMs, unsureUntilMs: 0, isMetBy: limitOf(spec).match ?? (() => true) },
      ...{ floor: undefined, met: new Set<string>() },
    };
    const atMs = spec.quota === undefined ? this.#emptyAtMs : this.#missingOf(id);
    if (atMs !== undefined) this.#setUnknown(shared, atMs);
    return shared;
  }

  /** Since when something is missing of what was counted of a quota, unless it was reset since. */
  #missingOf(id: string): number | undefined {
    if (this.#journal === undefined) return this.#emptyAtMs;
    const wasReset = this.#journal.countsOf(resetId(id)).length > 0;
    return wasReset ? undefined : this.#journal.missingMs;
  }

  /** Of all keys of a quota together. */
  #writeMark(id: string, floor: Floor): void {
    this.#journal?.write({ id, key: '', ...floor, untilMs: floor.atMs + periodMsMax });
  }

  /** Everything counts as used at a time, for what was is not known. */
  #setUnknown(shared: Shared, atMs: number): void {
    if (shared.spec.inFlight === undefined) {
      setFloor(shared, { used: mostOf(shared.spec), atMs });
      return;
    }
    // By the time that passes here: a clock that is set back makes it no longer.
    const passedMs = Math.max(0, this.#clock.wall() - atMs);
    shared.unsureUntilMs = this.#clock.now() + Math.max(0, permitMs - passedMs);
  }

  #storedFloor(shared: Shared): Floor | null {
    if (shared.spec.inFlight === undefined) {
      return this.#floorOf(shared) === 0 ? null : (shared.floor ?? null);
    }
    const leftMs = shared.unsureUntilMs - this.#clock.now();
    if (leftMs <= 0) return null;
    return { used: mostOf(shared.spec), atMs: this.#clock.wall() + leftMs - permitMs };
  }

  /** A quota goes on with what the journal has of it. */
  #restoreQuota(shared: Shared): void {
    const { id, spec } = shared;
    if (spec.quota === undefined) return;
    const [floor] = this.#journal?.countsOf(floorId(id)) ?? [];
    if (floor !== undefined && floor.used > this.#floorOf(shared)) setFloor(shared, floor);
    for (const { key, atMs, used } of this.#journal?.countsOf(id) ?? []) {
      const request = requestOf(spec.scope ?? [], key);
      if (request !== undefined) this.#limiter.restoreKey(id, request, used, atMs);
    }
  }

  /** What a limit of what is in flight says while calls may be under way of which it does not know. */
  #unsure(configuration: string, request: OwnRequest): Refusal | undefined {
    const now = this.#clock.now();
    for (const shared of this.#configurations.get(configuration)!.inFlight) {
      const { id, spec, isMetBy, unsureUntilMs } = shared;
      if (unsureUntilMs <= now || spec.shadow === true || !isMetBy(request)) continue;
      const retryAfterMs = unsureUntilMs - now;
      const limit = mostOf(spec);
      return {
        ...{ allowed: false, by: id, remaining: 0, limit },
        ...{ retryAfterMs, resetMs: retryAfterMs, reason: 'limit' },
      };
    }
    return undefined;
  }

  #setLimits(all: readonly Shared[]): void {
    this.#limiter.setLimits(all.map(ownLimit));
  }

  /**
   * A limit of the same scope has the same buckets, and each has used what it has there. Where the scope is another, nobody can tell which
   * bucket stands for which: each has used what all of them have together.
   */
  #inherit(limits: readonly Shared[], before: readonly Shared[]): void {
    const { limits: all, ...rest } = this.#limiter.snapshot();
    const placeOf = new Map(this.#limiter.limits.map(({ name }, place) => [name, place]));
    const inherited: Snapshot['limits'][number][] = [];
    const quotas: string[] = [];
    for (const shared of limits) {
      const from = before.find(({ spec }) => spec.name === shared.spec.name);
      const place = placeOf.get(from?.id ?? '');
      // One that had to make room was full.
      if (from === undefined || from.id === shared.id || place === undefined) continue;
      const { used } = all[place]!;
      const floor = this.#floorOf(from);
      // Nothing of a quota comes back before its period ends, and that is told by when it was used.
      const floorMs = from.spec.quota === undefined ? undefined : from.floor?.atMs;
      if (scopeOf(from.spec) === scopeOf(shared.spec)) {
        inherited.push({ shape: all[placeOf.get(shared.id)!]!.shape, used });
        if (shared.spec.quota !== undefined) quotas.push(shared.id);
      } else {
        const together = used.reduce((sum, [, amount]) => sum + amount, 0);
        this.#raiseFloor(shared, together);
      }
      this.#raiseFloor(shared, floor, floorMs);
    }
    this.#limiter.restore({ ...rest, limits: inherited });
    for (const id of quotas) this.#writeAll(id);
  }

  /** Writes down what is used of all keys of a quota. */
  #writeAll(id: string): void {
    const place = this.#limiter.limits.findIndex(({ name }) => name === id);
    const atMs = this.#clock.wall();
    const { spec } = this.#shared.get(id)!;
    for (const [key, used] of this.#limiter.snapshot().limits[place]?.used ?? []) {
      const request = requestOf(spec.scope ?? [], key) ?? {};
      const untilMs = atMs + this.#limiter.usedBy(id, request).resetMs;
      this.#journal?.write({ id, key, atMs, used, untilMs });
    }
  }

  #raiseFloor(shared: Shared, least: number, atMs = this.#clock.wall()): void {
    // What is in flight is known by the calls themselves.
    if (shared.spec.inFlight !== undefined) return;
    const used = Math.min(least, mostOf(shared.spec));
    if (used <= this.#floorOf(shared)) return;
    const floor = { used, atMs };
    setFloor(shared, floor);
    if (shared.spec.quota !== undefined) this.#writeMark(floorId(shared.id), floor);
  }

  /** Forgets limits that nobody has used for a long time and whose buckets are full, where there are too many. */
  #makeRoom(added: readonly Shared[], wanted: readonly Shared[]): void {
    const excess = this.#shared.size + added.length - limitsMax;
    if (excess <= 0) return;
    const before = this.#clock.now() - idleMs;
    const full = new Set(
      this.buckets().flatMap(({ spec, used }) => (used.length === 0 ? [idOf(spec)] : [])),
    );
    const idle = [...this.#shared.values()].filter(
      (shared) =>
        shared.usedMs < before &&
        full.has(shared.id) &&
        this.#floorOf(shared) === 0 &&
        !wanted.includes(shared),
    );
    if (idle.length < excess) {
      throw new GateError(
        'too_many_limits',
        `more than ${limitsMax} different limits are in use over this log; use the same in more places`,
      );
    }
    for (const { id } of idle) this.#shared.delete(id);
    for (const [name, { limits }] of this.#configurations) {
      if (limits.some(({ id }) => !this.#shared.has(id))) this.#configurations.delete(name);
    }
  }

  #ownRequest(name: string, request: LimitRequest): OwnRequest {
    const found = this.#configurations.get(name);
    if (found === undefined) {
      throw new GateError('unknown_limits', 'the limits of this configuration are not known here');
    }
    const now = this.#clock.now();
    for (const shared of found.limits) {
      shared.usedMs = now;
      if (shared.floor !== undefined) this.#useFloor(shared, request);
    }
    return { ...plain(request), own: found.own };
  }

  /** What counts as used of every bucket by now; what has come back altogether is forgotten. */
  #floorOf(shared: Shared): number {
    const { floor, spec } = shared;
    if (floor === undefined) return 0;
    const passedMs = Math.max(0, this.#clock.wall() - floor.atMs);
    const { rate } = spec;
    // Nothing of a quota comes back before its period ends.
    const back = rate === undefined ? 0 : (passedMs * rate.count) / rate.perMs;
    const used = passedMs > periodMsMax && rate === undefined ? 0 : floor.used - back;
    if (used > 0) return used;
    setFloor(shared, undefined);
    return 0;
  }

  /** Before a bucket is met for the first time: no less is used of it than counts as used of all. */
  #useFloor(shared: Shared, request: LimitRequest): void {
    const used = this.#floorOf(shared);
    if (used === 0) return;
    const { scope = [] } = shared.spec;
    const key = JSON.stringify(scope.map((member) => request[member] ?? null));
    if (shared.met.has(key)) return;
    const met = [...this.#shared.values()].reduce((sum, each) => sum + each.met.size, 0);
    if (met >= metMax) {
      throw new GateError('too_many_limits', `more than ${metMax} buckets are of unknown state`);
    }
    if (this.#raise(shared, request, used)) shared.met.add(key);
  }

  /** Has so much be used of a bucket where it is less. Returns false where there is no room for the bucket. */
  #raise({ id, spec, floor }: Shared, request: LimitRequest, used: number): boolean {
    if (spec.rate === undefined) {
      this.#limiter.restoreKey(id, request, used, floor?.atMs ?? 0);
      return true;
    }
    const { count, perMs } = spec.rate;
    const own = new Set([id]);
    const look: OwnRequest = { ...request, own, spend: 0 };
    if ((this.#limiter.peek(look).resetMs * count) / perMs >= used) return true;
    this.#limiter.reset(id, request);
    const spend: OwnRequest = { ...request, own, spend: used };
    return this.#limiter.take(spend).allowed;
  }
}

/** Under which the journal has what counts as used of every key of a quota. */
function floorId(id: string): string {
  return `${id}*`;
}

function setFloor(shared: Shared, floor: Floor | undefined): void {
  shared.floor = floor;
  shared.met.clear();
}

/** @throws RateLimitError `bad_snapshot` */
function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new RateLimitError('bad_snapshot', 'what counts as used of a limit is no number');
}

function scopeOf({ scope = [] }: LimitSpec): string {
  return JSON.stringify(scope);
}

/** What a limit may go by, whatever else was sent. */
function plain({ actor, channel, session, tool, cost }: LimitRequest): LimitRequest {
  return { actor, channel, session, tool, cost };
}

/** The limit as one among those of other configurations. */
function ownLimit({ id, spec }: Shared): Limit {
  const limit = limitOf(spec);
  const isCounted = spec.inFlight !== undefined;
  const { match, cost = isCounted ? 'call' : 'cost' } = limit;
  const plain = cost === 'call' ? () => 1 : (request: LimitRequest): number => request.cost ?? 1;
  return {
    ...limit,
    name: id,
    ...(spec.quota === undefined ? {} : { maxKeys: quotaKeysMax }),
    match: (request) =>
      (request as OwnRequest).own.has(id) &&
      ((request as OwnRequest).spend !== undefined || match === undefined || match(request)),
    cost: (request) => (request as OwnRequest).spend ?? plain(request),
  };
}
