import { createHash } from 'node:crypto';
import {
  type Clock,
  type Decision,
  type Grant,
  type Limit,
  Limiter,
  type LimitRequest,
  type Refusal,
  type Snapshot,
  systemClock,
} from '@gatebook/ratelimit';
import { type LimitSpec, limitOf } from '../../limits.js';
import { GateError } from '../errors.js';

/** Different limits of all the configurations that are in use over one log. */
export const limitsMax = 256;
/** One that nobody used for so long may be forgotten for another, once its buckets are full again. */
const idleMs = 3_600_000;
/** Buckets of which is remembered that they counted as empty when the holder before was lost. */
const metMax = 100_000;

/** A request among the limits of several configurations, of which only its own apply. */
interface OwnRequest extends LimitRequest {
  readonly own: ReadonlySet<string>;
  /** Takes so much instead of what it costs. */
  readonly spend?: number | undefined;
}

interface Shared {
  /** What it says, as a digest: its name in the limiter. */
  readonly id: string;
  readonly spec: LimitSpec;
  usedMs: number;
  /** False while it must be assumed that all was used before the last holder was lost. */
  known: boolean;
}

interface Configuration {
  readonly own: ReadonlySet<string>;
  readonly limits: readonly Shared[];
}

export interface LimitsSnapshot {
  readonly specs: readonly LimitSpec[];
  readonly used: Snapshot;
}

export interface SharedLimitsOptions {
  readonly clock?: Clock | undefined;
  /**
   * When the process that held the buckets before was last known to live, in ms since 1970, where it ended without saying what was
   * used: all of it then. Undefined where nothing is unknown.
   */
  readonly emptyAtMs?: number | undefined;
}

/** Names a list of limits by what they say: equal lists have equal names. */
export function configurationId(specs: readonly LimitSpec[]): string {
  return createHash('sha256').update(specs.map(idOf).join()).digest('hex').slice(0, 32);
}

function idOf({ name, rate, burst, scope = [], tool, cost, shadow }: LimitSpec): string {
  const { count, perMs } = rate;
  const facts = [name, count, perMs, burst ?? null, scope, tool ?? null, cost ?? 'cost', !!shadow];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}

/**
 * The buckets of all gates over one log. Each gate registers the limits of its configuration. Limits that say the same are one, so
 * gates with the same limits share the buckets, and a gate with other limits has its own.
 */
export class SharedLimits {
  readonly #clock: Clock;
  readonly #emptyAtMs: number | undefined;
  readonly #limiter: Limiter;
  readonly #shared = new Map<string, Shared>();
  readonly #configurations = new Map<string, Configuration>();
  readonly #met = new Set<string>();

  constructor({ clock = systemClock, emptyAtMs }: SharedLimitsOptions = {}) {
    this.#clock = clock;
    this.#emptyAtMs = emptyAtMs;
    this.#limiter = new Limiter({ limits: [], clock });
  }

  knows(configuration: string): boolean {
    return this.#configurations.has(configuration);
  }

  /**
   * Makes a configuration's limits known and returns its name. Where it `replaces` another one, a limit that differs from one there in
   * its numbers only begins with what is used of that one: an edit fills no bucket.
   *
   * @throws RateLimitError `bad_limit`, `duplicate_limit`; GateError `too_many_limits`; nothing has changed then
   */
  register(specs: readonly LimitSpec[], replaces?: string): string {
    const name = configurationId(specs);
    if (this.#configurations.has(name)) return name;
    const limits = specs.map((spec) => this.#sharedOf(spec));
    const added = limits.filter(({ id }) => !this.#shared.has(id));
    this.#makeRoom(added);
    this.#setLimits([...this.#shared.values(), ...added]);
    for (const shared of added) this.#shared.set(shared.id, shared);
    const before = this.#configurations.get(replaces ?? '');
    if (before !== undefined) this.#inherit(added, before.limits);
    this.#configurations.set(name, { own: new Set(limits.map(({ id }) => id)), limits });
    return name;
  }

  /**
   * Takes from all limits of the configuration, or from none.
   *
   * @throws GateError `unknown_limits`
   */
  take(configuration: string, request: LimitRequest): Grant | Refusal {
    return this.#limiter.take(this.#ownRequest(configuration, request));
  }

  /** @throws GateError `unknown_limits` */
  peek(configuration: string, request: LimitRequest): Decision {
    return this.#limiter.peek(this.#ownRequest(configuration, request));
  }

  /** The name that the operator gave the limit which a decision is by. */
  nameOf({ by }: Decision): string {
    return this.#shared.get(by)?.spec.name ?? by;
  }

  /** Makes the buckets of all limits full, or of those with this name. Returns how many limits that were. */
  reset(name?: string): number {
    const all = [...this.#shared.values()];
    const meant = all.filter(({ spec }) => name === undefined || spec.name === name);
    this.#setLimits(all.filter((shared) => !meant.includes(shared)));
    this.#setLimits(all);
    for (const shared of meant) shared.known = true;
    return meant.length;
  }

  /** What is used of every bucket that is not full. */
  buckets(): { readonly spec: LimitSpec; readonly used: Snapshot['limits'][number]['used'] }[] {
    const { limits } = this.#limiter.snapshot();
    return this.#limiter.limits.map(({ name }, place) => ({
      spec: this.#shared.get(name)!.spec,
      used: limits[place]!.used,
    }));
  }

  snapshot(): LimitsSnapshot {
    const specs = this.#limiter.limits.map(({ name }) => this.#shared.get(name)!.spec);
    return { specs, used: this.#limiter.snapshot() };
  }

  /** Goes on from a snapshot, at the beginning. */
  restore({ specs, used }: LimitsSnapshot): void {
    for (const spec of specs) {
      const shared = this.#sharedOf(spec);
      this.#shared.set(shared.id, shared);
    }
    this.#setLimits([...this.#shared.values()]);
    this.#limiter.restore(used);
  }

  #sharedOf(spec: LimitSpec): Shared {
    const id = idOf(spec);
    const known = this.#emptyAtMs === undefined;
    return this.#shared.get(id) ?? { id, spec, usedMs: this.#clock.now(), known };
  }

  #setLimits(all: readonly Shared[]): void {
    this.#limiter.setLimits(all.map(ownLimit));
  }

  #inherit(added: readonly Shared[], before: readonly Shared[]): void {
    const { limits, ...rest } = this.#limiter.snapshot();
    const placeOf = new Map(this.#limiter.limits.map(({ name }, place) => [name, place]));
    const inherited = added.flatMap(({ id, spec }) => {
      const from = before.find((old) => shapeOf(old.spec) === shapeOf(spec));
      if (from === undefined) return [];
      const { used } = limits[placeOf.get(from.id)!]!;
      return [{ shape: limits[placeOf.get(id)!]!.shape, used }];
    });
    this.#limiter.restore({ ...rest, limits: inherited });
  }

  /** Forgets limits that nobody has used for a long time and whose buckets are full, where there are too many. */
  #makeRoom(added: readonly Shared[]): void {
    const excess = this.#shared.size + added.length - limitsMax;
    if (excess <= 0) return;
    const before = this.#clock.now() - idleMs;
    const full = new Set(
      this.buckets().flatMap(({ spec, used }) => (used.length === 0 ? [idOf(spec)] : [])),
    );
    const idle = [...this.#shared.values()].filter(
      ({ id, usedMs, known }) => usedMs < before && full.has(id) && known,
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
      if (!shared.known) this.#spendUnknown(shared, request);
    }
    return { ...request, own: found.own };
  }

  /** What was used before the last holder was lost is unknown, so it was all: it has come back only since then. */
  #spendUnknown(shared: Shared, request: LimitRequest): void {
    const { id, spec } = shared;
    const { rate, burst = Math.max(1, rate.count), scope = [] } = spec;
    const sinceMs = Math.max(0, this.#clock.wall() - (this.#emptyAtMs ?? 0));
    const spend = burst - (sinceMs * rate.count) / rate.perMs;
    if (spend <= 0) {
      shared.known = true;
      return;
    }
    const key = JSON.stringify([id, ...scope.map((member) => request[member] ?? null)]);
    if (this.#met.has(key)) return;
    if (this.#met.size >= metMax) {
      throw new GateError('too_many_limits', `more than ${metMax} buckets are of unknown state`);
    }
    this.#met.add(key);
    this.#limiter.take({ ...request, own: new Set([id]), spend } as OwnRequest);
  }
}

function shapeOf({ name, scope = [], tool }: LimitSpec): string {
  return JSON.stringify([name, scope, tool ?? null]);
}

/** The limit as one among those of other configurations. */
function ownLimit({ id, spec }: Shared): Limit {
  const limit = limitOf(spec);
  const { match, cost = 'cost' } = limit;
  const plain = cost === 'call' ? () => 1 : (request: LimitRequest): number => request.cost ?? 1;
  return {
    ...limit,
    name: id,
    match: (request) =>
      (request as OwnRequest).own.has(id) &&
      ((request as OwnRequest).spend !== undefined || match === undefined || match(request)),
    cost: (request) => (request as OwnRequest).spend ?? plain(request),
  };
}
