import {
  type Decision,
  type Limit,
  type LimitCounters,
  type LimitRequest,
  ManualClock,
} from '@gatebook/ratelimit';
import {
  type RedisGrant,
  RedisLimiter,
  type RedisReserved,
  type RedisTaken,
} from '@gatebook/ratelimit/redis';
import type { ClientKind, OpenClient } from '../clients.js';
import { openClient } from '../clients.js';
import type { RedisServer } from '../redis-server.js';
import type { Answer, Subject, WaitEnded } from './subject.js';

let made = 0;

/** The limiter over a server whose clock stands still until it is moved, and its own clock with it. */
export class RedisSubject implements Subject {
  readonly #server: RedisServer;
  readonly #limiter: RedisLimiter;
  readonly #connection: OpenClient;
  readonly #clock: ManualClock;

  private constructor(
    server: RedisServer,
    connection: OpenClient,
    limits: readonly Limit[],
    at: number,
  ) {
    this.#server = server;
    this.#connection = connection;
    this.#clock = new ManualClock(at, at);
    const { client } = connection;
    const prefix = `model-${process.pid}-${made++}`;
    this.#limiter = new RedisLimiter({ limits, client, prefix, clock: this.#clock });
  }

  /** Opens one whose store has been there for ever, at a time in ms since 1970. */
  static async open(
    server: RedisServer,
    kind: ClientKind,
    limits: readonly Limit[],
    at: number,
  ): Promise<RedisSubject> {
    await server.stopClock(at);
    const subject = new RedisSubject(server, await openClient(kind, server), limits, at);
    await subject.#limiter.declareUnused();
    return subject;
  }

  async take(request: LimitRequest): Promise<Answer> {
    return answerOf(await this.#limiter.take(request));
  }

  async reserve(request: LimitRequest, estimate: number): Promise<Answer> {
    return answerOf(await this.#limiter.reserve(request, estimate));
  }

  async wait(): Promise<void> {
    throw new Error('who waits over Redis is tried in conformance/ratelimit/waiting.test.ts');
  }

  async abort(): Promise<void> {}

  async ended(): Promise<WaitEnded[]> {
    return [];
  }

  async peek(request: LimitRequest): Promise<Decision> {
    return await this.#limiter.peek(request);
  }

  async block(name: string, request: LimitRequest, ms: number): Promise<number> {
    return await this.#limiter.block(name, request, ms);
  }

  async reset(name: string, request: LimitRequest): Promise<void> {
    await this.#limiter.reset(name, request);
  }

  async setLimits(limits: readonly Limit[]): Promise<void> {
    this.#limiter.setLimits(limits);
  }

  counters(): readonly LimitCounters[] {
    return this.#limiter.counters();
  }

  async advance(ms: number): Promise<void> {
    const at = this.#clock.now() + ms;
    await this.#server.stopClock(at);
    this.#clock.advance(ms);
  }

  async close(): Promise<void> {
    this.#limiter.close();
    this.#connection.close();
  }
}

function answerOf(decision: RedisTaken | RedisReserved): Answer {
  if (!decision.allowed) return { decision, held: undefined };
  const refuse = (): never => {
    throw new Error('a grant is no reservation, and a reservation is no grant');
  };
  return {
    decision,
    held: {
      release: () => decision.release(),
      refund: () => (isGrant(decision) ? decision.refund() : refuse()),
      settle: async (actual) =>
        isGrant(decision) ? refuse() : (await decision.settle(actual)).overspent,
    },
  };
}

function isGrant(decision: { readonly allowed: true }): decision is RedisGrant {
  return 'refund' in decision;
}
