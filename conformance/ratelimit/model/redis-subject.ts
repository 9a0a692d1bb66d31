import type { Decision, Limit, LimitCounters, LimitRequest } from '@gatebook/ratelimit';
import {
  type RedisGrant,
  RedisLimiter,
  type RedisReserved,
  type RedisTaken,
} from '@gatebook/ratelimit/redis';
import type { ClientKind, OpenClient } from '../clients.js';
import { openClient } from '../clients.js';
import type { RedisServer } from '../redis-server.js';
import { CountedCalls } from './counted-calls.js';
import { ProcessClock } from './process-clock.js';
import type { Answer, StoredSubject, WaitEnded } from './subject.js';

let made = 0;

/** No call to the store is given up, since its answers come while the clock stands still. */
const timeoutMs = 1e12;

/** The limiter over a server whose clock stands still until it is moved, and its own clock with it. */
export class RedisSubject implements StoredSubject {
  readonly #server: RedisServer;
  readonly #connection: OpenClient;
  readonly #calls: CountedCalls;
  readonly #clock: ProcessClock;
  readonly #prefix = `model-${process.pid}-${made++}`;
  readonly #maxWaiting: number;
  readonly #waits: AbortController[] = [];
  #ended: WaitEnded[] = [];
  #limiter: RedisLimiter;

  private constructor(
    server: RedisServer,
    connection: OpenClient,
    limits: readonly Limit[],
    at: number,
    maxWaiting: number,
  ) {
    this.#server = server;
    this.#connection = connection;
    this.#maxWaiting = maxWaiting;
    this.#calls = new CountedCalls(connection.client);
    this.#clock = new ProcessClock(at);
    this.#limiter = this.#make(limits);
  }

  /** Opens one whose store has been there for ever, at a time in ms since 1970. */
  static async open(
    server: RedisServer,
    kind: ClientKind,
    limits: readonly Limit[],
    at: number,
    maxWaiting = 0,
  ): Promise<RedisSubject> {
    await server.stopClock(at);
    const connection = await openClient(kind, server);
    const subject = new RedisSubject(server, connection, limits, at, maxWaiting);
    await subject.#limiter.declareUnused();
    return subject;
  }

  async take(request: LimitRequest): Promise<Answer> {
    return answerOf(await this.#limiter.take(request));
  }

  async reserve(request: LimitRequest, estimate: number): Promise<Answer> {
    return answerOf(await this.#limiter.reserve(request, estimate));
  }

  async wait(request: LimitRequest, timeoutMs: number | undefined): Promise<void> {
    const abort = new AbortController();
    const waiter = this.#waits.push(abort) - 1;
    const end = (answer: Answer | undefined): void => {
      this.#ended.push({ waiter, now: this.#clock.now(), answer });
    };
    this.#limiter.wait(request, { signal: abort.signal, timeoutMs }).then(
      (decision) => end(answerOf(decision)),
      (error: unknown) => {
        if (error !== abort.signal.reason) throw error;
        end(undefined);
      },
    );
    await this.#calls.settled();
  }

  async abort(waiter: number): Promise<void> {
    this.#waits[waiter]?.abort();
    await this.#calls.settled();
  }

  async ended(): Promise<WaitEnded[]> {
    await this.#rung();
    return this.#ended.splice(0);
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
    const end = this.#clock.now() + ms;
    for (;;) {
      const till = Math.min(end, this.#clock.nextMs);
      await this.#server.stopClock(till);
      this.#clock.advanceTo(till);
      await this.#rung();
      if (till === end) return;
    }
  }

  /** Whatever is due now is done. */
  async #rung(): Promise<void> {
    await this.#calls.settled();
    while (this.#clock.nextMs <= this.#clock.now()) {
      this.#clock.advanceTo(this.#clock.now());
      await this.#calls.settled();
    }
  }

  async stall(ms: number): Promise<void> {
    const end = this.#clock.now() + ms;
    await this.#server.stopClock(end);
    this.#clock.stallTo(end);
    await this.#calls.settled();
  }

  async die(limits: readonly Limit[]): Promise<void> {
    this.#limiter.close();
    this.#limiter = this.#make(limits);
  }

  async close(): Promise<void> {
    for (const abort of this.#waits) abort.abort();
    await this.#calls.settled();
    this.#limiter.close();
    this.#connection.close();
  }

  #make(limits: readonly Limit[]): RedisLimiter {
    const { client } = this.#calls;
    return new RedisLimiter({
      ...{ limits, client, timeoutMs, prefix: this.#prefix, clock: this.#clock },
      maxWaiting: this.#maxWaiting,
    });
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
