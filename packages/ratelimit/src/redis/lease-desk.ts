import { onAbort } from '../abort-listeners.js';
import type { LimitCounters } from '../counters.js';
import type { Decision, Refusal } from '../decision.js';
import { RateLimitError } from '../errors.js';
import type { Reason } from '../meter.js';
import type { LimitRequest } from '../request.js';
import { Agenda } from './agenda.js';
import type { EvictionOptions } from './eviction-guard.js';
import { Fallback } from './fallback.js';
import type { Lease } from './lease.js';
import type { Need } from './lease-needs.js';
import type { Batch } from './lease-returns.js';
import { type LeaseTerm, leaseMs } from './lease-term.js';
import type { Spent } from './leased-grants.js';
import { decisionOf, Leases } from './leases.js';
import type { LinkOptions } from './link.js';
import { StoreFailure } from './store-failure.js';

/** How somebody waits. */
export interface LeaseAsk {
  readonly untilMs: number;
  readonly signal: AbortSignal | undefined;
}

interface Want {
  readonly term: LeaseTerm;
  readonly key: string;
  readonly cost: number;
}

/** Spent, or passed over: its store is away, or it is in the shadow. */
type Got = Spent | 'passed' | Refusal;

/** Spends from leases for requests: from all that a request meets, or from none. */
export class LeaseDesk {
  readonly leases: Leases;
  readonly #link: LinkOptions;
  readonly #maxWaiting: number;
  readonly #processes: number;
  readonly #agenda: Agenda;
  #terms: readonly LeaseTerm[] = [];
  #fallbacks = new Map<LeaseTerm, Fallback>();

  constructor(
    link: LinkOptions,
    maxWaiting: number,
    options: EvictionOptions & { readonly expectedProcesses?: number | undefined },
  ) {
    this.leases = new Leases(link, options);
    this.#link = link;
    this.#maxWaiting = maxWaiting;
    this.#processes = options.expectedProcesses ?? 1;
    this.#agenda = new Agenda(link.clock);
  }

  setTerms(terms: readonly LeaseTerm[]): void {
    for (const term of terms) {
      const before = this.termOf(term.name);
      term.allowed = before?.allowed ?? 0;
      term.refused = before?.refused ?? 0;
      term.shadowRefused = before?.shadowRefused ?? 0;
    }
    this.#terms = terms;
    this.#fallbacks = new Map(
      terms.map((term) => [term, new Fallback([term.limit], this.#processes, this.#link.clock)]),
    );
    this.leases.setTerms(terms);
  }

  termOf(name: string): LeaseTerm | undefined {
    return this.#terms.find((term) => term.name === name);
  }

  counters(): LimitCounters[] {
    return this.#terms.map(({ name, allowed, refused, shadowRefused }) => ({
      ...{ limit: name, allowed, refused, shadowRefused },
      keys: this.leases.keysOf(name),
    }));
  }

  /** What is left here is enough, or nothing happens. @throws RateLimitError `bad_request` */
  spendNow(request: LimitRequest, now: number): Spent[] | undefined {
    const spent: Spent[] = [];
    for (const term of this.#terms) {
      if (term.match !== undefined && !term.match(request)) continue;
      const cost = term.costOf(request);
      if (cost === 0) continue;
      const key = term.keyOf(request);
      const lease = this.leases.of(term, key);
      const batch = lease?.take(cost, now);
      if (lease === undefined || batch === undefined) {
        this.putBack(spent);
        return undefined;
      }
      spent.push({ term, key, cost, batch, lease });
    }
    return spent;
  }

  /** Asks the store for what is not here; with `ask`, waits until it is there. @throws RateLimitError `bad_request`, `bad_store`, `closed` */
  async spend(request: LimitRequest, ask?: LeaseAsk): Promise<Spent[] | Refusal> {
    const wants = this.#wantsOf(request);
    const never = this.#never(wants);
    if (never !== undefined) return never;
    // Who waits for a narrow key is passed in the broader ones.
    if (ask !== undefined) wants.sort((one, other) => other.term.breadth - one.term.breadth);
    const spent: Spent[] = [];
    let isDone = false;
    try {
      for (const want of wants) {
        const got = await this.#get(want, request, ask);
        if (got === 'passed') continue;
        if (!('batch' in got)) return got;
        spent.push(got);
      }
      isDone = true;
      return spent;
    } finally {
      if (!isDone) this.putBack(spent);
    }
  }

  /** What costs more than there can ever be. */
  never(request: LimitRequest): Refusal | undefined {
    return this.#never(this.#wantsOf(request));
  }

  putBack(spent: readonly Spent[]): void {
    const now = this.#link.clock.now();
    for (const { term, key, cost, batch } of spent)
      this.leases.of(term, key)?.putBack(cost, batch, now);
  }

  /** @throws StoreFailure, RateLimitError `bad_store` */
  async peek(request: LimitRequest): Promise<Decision | undefined> {
    let worst: Decision | undefined;
    for (const { term, key, cost } of this.#wantsOf(request)) {
      const lacking = await this.leases.lacking(term, key);
      const left = this.leases.restOf(term, key) + term.max - lacking / term.perToken;
      const wait = ((cost - left) * term.perToken) / term.count / 1_000;
      const isNever = cost > term.max;
      const waitMs = isNever ? Number.POSITIVE_INFINITY : wait > 0 ? Math.ceil(wait) : 0;
      const reason = isNever ? 'never' : waitMs > 0 ? 'limit' : undefined;
      if (term.shadow) continue;
      worst = tighter(worst, { ...decisionOf(term, left, waitMs), reason });
    }
    return worst;
  }

  async close(error: Error): Promise<void> {
    this.#agenda.close();
    await this.leases.close(error);
  }

  #wantsOf(request: LimitRequest): Want[] {
    return this.#terms
      .filter(({ match }) => match === undefined || match(request))
      .map((term) => ({ term, key: term.keyOf(request), cost: term.costOf(request) }));
  }

  #never(wants: readonly Want[]): Refusal | undefined {
    const want = wants.find(({ term, cost }) => cost > term.max && !term.shadow);
    return want === undefined ? undefined : this.#refuse(want, Number.POSITIVE_INFINITY, 'never');
  }

  #refuse({ term, key }: Want, waitMs: number, reason: Reason): Refusal {
    term.refused++;
    const left = this.leases.of(term, key)?.left(this.#link.clock.now()) ?? 0;
    return { ...decisionOf(term, left, waitMs), allowed: false, reason };
  }

  async #get(want: Want, request: LimitRequest, ask: LeaseAsk | undefined): Promise<Got> {
    const { term, key, cost } = want;
    if (cost === 0) return 'passed';
    const lease = this.leases.of(term, key);
    if (lease === undefined) return this.#refuse(want, leaseMs, 'keys');
    const batch = lease.take(cost, this.#link.clock.now());
    if (batch !== undefined) return { ...want, batch, lease };
    if (lease.isAwaited && ask === undefined && !term.shadow)
      return this.#refuse(want, lease.msBehind(cost), 'queue');
    if (lease.needs >= this.#maxWaiting) return this.#refuse(want, lease.msBehind(cost), 'waiting');
    try {
      const got = await this.#need(want, lease, ask);
      if (!('allowed' in got)) return { ...want, batch: got, lease };
      if (!term.shadow) return got;
      term.shadowRefused++;
      return 'passed';
    } catch (error) {
      if (!(error instanceof StoreFailure)) throw error;
      const taken = this.#fallbacks.get(term)?.take({ terms: [term] }, request, error.retryAfterMs);
      if (taken === undefined || taken.allowed) return 'passed';
      term.refused++;
      return taken;
    }
  }

  #need(want: Want, lease: Lease, ask: LeaseAsk | undefined): Promise<Batch | Refusal> {
    const { term, cost } = want;
    const stays = ask !== undefined && !term.shadow;
    return new Promise((resolve, reject) => {
      const refuse = (waitMs: number, reason: Reason): false => {
        end();
        resolve(
          term.shadow
            ? { ...decisionOf(term, 0, waitMs), allowed: false, reason }
            : this.#refuse(want, waitMs, reason),
        );
        return false;
      };
      let lastMs = 1;
      const need: Need = {
        cost,
        stays,
        served: (batch) => {
          end();
          resolve(batch);
        },
        refused: (waitMs, isBehind) => {
          lastMs = waitMs;
          const most = this.termOf(term.name)?.max ?? term.max;
          if (cost > most) return refuse(Number.POSITIVE_INFINITY, 'never');
          if (!stays) return refuse(waitMs, isBehind ? 'queue' : 'limit');
          const isLate = this.#link.clock.now() + waitMs > (ask?.untilMs ?? 0);
          return isLate ? refuse(waitMs, 'deadline') : true;
        },
        failed: (error) => {
          end();
          reject(error);
        },
      };
      const late = (): void => {
        lease.leave(need);
        refuse(lastMs, 'deadline');
      };
      const isTimed = stays && ask.untilMs !== Number.POSITIVE_INFINITY;
      const expiry = isTimed ? this.#agenda.at(ask.untilMs, late) : undefined;
      const end = (): void => {
        this.#agenda.cancel(expiry);
        deaf();
      };
      const deaf = onAbort(ask?.signal, () => {
        lease.leave(need);
        need.failed(ask?.signal?.reason);
      });
      lease.need(need);
    });
  }
}

/** Of two answers the one that refuses longer, or else the one with less left. */
export function tighter(one: Decision | undefined, other: Decision | undefined): Decision {
  if (one === undefined) return other as Decision;
  if (other === undefined) return one;
  if (one.retryAfterMs !== other.retryAfterMs)
    return one.retryAfterMs > other.retryAfterMs ? one : other;
  return other.remaining < one.remaining ? other : one;
}

export function closed(): RateLimitError {
  return new RateLimitError('closed', 'the limiter is closed');
}
