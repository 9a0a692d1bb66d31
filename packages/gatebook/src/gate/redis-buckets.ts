import type { RedisGrant } from '@gatebook/ratelimit/redis';
import type { LimitSpec } from '../limits.js';
import { type Buckets, limitAnswer } from './buckets.js';
import type { ConnectedRedis, RedisPlace } from './redis-connection.js';
import type { LimitAnswer, SharedRequest } from './state/message.js';
import type { StateClient } from './state/state-client.js';

export interface RedisBucketsOptions {
  readonly place: RedisPlace;
  readonly specs: readonly LimitSpec[];
  /** Has the approvals; knows of no limits. */
  readonly state: StateClient;
  /** Takes one line for the operator. */
  readonly report: (line: string) => void;
}

/** What was taken for one call. */
interface Held {
  readonly grant: RedisGrant;
  /** The holder's, where the call used an approval. */
  readonly approval: string | undefined;
}

/**
 * The limits of one gate, counted in Redis: one script decides on all of them. The approvals stay with the log's gates, so a call takes
 * here first, and what its approval does not cover after all is given back.
 */
export class RedisBuckets implements Buckets {
  readonly #options: RedisBucketsOptions;
  readonly #held = new Map<string, Held>();
  #specs: readonly LimitSpec[];
  #grants = 0;
  #connected: Promise<ConnectedRedis> | undefined;
  #closed = false;
  readonly #releasing = new Set<Promise<void>>();

  constructor(options: RedisBucketsOptions) {
    this.#options = options;
    this.#specs = options.specs;
  }

  get hasLimits(): boolean {
    return this.#specs.length > 0;
  }

  /** Other limits from now on; those of the same name go on with what was used. */
  async change(specs: readonly LimitSpec[]): Promise<void> {
    this.#specs = specs;
    try {
      const connected = await this.#connected;
      connected?.setLimits(specs);
    } catch (error) {
      this.#options.report(`gatebook: the limits from before hold on: ${String(error)}`);
    }
  }

  async take(request: SharedRequest, approval?: string): Promise<LimitAnswer> {
    const { limiter } = await this.#connection();
    const taken = await limiter.take(request);
    if (!taken.allowed) return limitAnswer(taken, taken.by);
    let used: LimitAnswer | undefined;
    try {
      used = approval === undefined ? undefined : await this.#options.state.take({}, approval);
    } catch (error) {
      await taken.refund();
      throw error;
    }
    const grant = `redis.${++this.#grants}`;
    this.#held.set(grant, { grant: taken, approval: used?.grant });
    return { ...limitAnswer(taken, taken.by), grant };
  }

  async peek(request: SharedRequest): Promise<LimitAnswer> {
    const { limiter } = await this.#connection();
    try {
      const decision = await limiter.peek(request);
      return limitAnswer(decision, decision.by);
    } catch (error) {
      // What becomes of the call while the store is away is said when it takes.
      if (error instanceof Error && error.name === 'StoreFailure') return unknownYet;
      throw error;
    }
  }

  async refund(grant: string): Promise<void> {
    const held = this.#held.get(grant);
    this.#held.delete(grant);
    await held?.grant.refund();
    if (held?.approval !== undefined) await this.#options.state.refund(held.approval);
  }

  spent(grant: string): string | undefined {
    const held = this.#held.get(grant);
    this.#held.delete(grant);
    // What cannot be given back of what is in flight lapses there.
    if (held !== undefined) this.#release(held.grant);
    return held?.approval;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#releasing);
    const connected = await this.#connected?.catch(() => undefined);
    connected?.close();
  }

  #release(grant: RedisGrant): void {
    const releasing = grant.release().catch(() => undefined);
    this.#releasing.add(releasing);
    void releasing.then(() => this.#releasing.delete(releasing));
  }

  #connection(): Promise<ConnectedRedis> {
    if (this.#closed) throw new Error('the gate was closed');
    this.#connected ??= this.#connect();
    return this.#connected;
  }

  async #connect(): Promise<ConnectedRedis> {
    const { place, report } = this.#options;
    const { connectRedis } = await import('./redis-connection.js');
    return await connectRedis(place, this.#specs, report);
  }
}

const unknownYet: LimitAnswer = {
  allowed: true,
  by: '',
  remaining: null,
  limit: null,
  retryAfterMs: 0,
};
