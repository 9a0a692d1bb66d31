import {
  type Decision,
  type Grant,
  type Limit,
  type LimitCounters,
  Limiter,
  type LimitRequest,
  ManualClock,
  type Refusal,
  type Reservation,
} from '@gatebook/ratelimit';
import type { Answer, LocalSubject, WaitEnded } from './subject.js';

/** The limiter in memory, with a clock that stands still until it is moved. */
export class MemorySubject implements LocalSubject {
  #clock: ManualClock;
  #limiter: Limiter;
  readonly #waits: AbortController[] = [];
  #ended: WaitEnded[] = [];

  constructor(limits: readonly Limit[], wall: number, maxWaiting: number) {
    this.#clock = new ManualClock(0, wall);
    this.#limiter = new Limiter({ limits, clock: this.#clock, maxWaiting });
  }

  async take(request: LimitRequest): Promise<Answer> {
    return answerOf(this.#limiter.take(request));
  }

  async reserve(request: LimitRequest, estimate: number): Promise<Answer> {
    return answerOf(this.#limiter.reserve(request, estimate));
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
    await flush();
  }

  async abort(waiter: number): Promise<void> {
    this.#waits[waiter]?.abort();
    await flush();
  }

  async ended(): Promise<WaitEnded[]> {
    await flush();
    return this.#ended.splice(0);
  }

  async peek(request: LimitRequest): Promise<Decision> {
    return this.#limiter.peek(request);
  }

  async block(name: string, request: LimitRequest, ms: number): Promise<number> {
    return this.#limiter.block(name, request, ms);
  }

  async reset(name: string, request: LimitRequest): Promise<void> {
    this.#limiter.reset(name, request);
  }

  async setLimits(limits: readonly Limit[]): Promise<void> {
    this.#limiter.setLimits(limits);
  }

  counters(): readonly LimitCounters[] {
    return this.#limiter.counters();
  }

  async advance(ms: number): Promise<void> {
    const end = this.#clock.now() + ms;
    for (let next = this.#clock.nextMs; ; next = this.#clock.nextMs) {
      const till = Math.min(end, next ?? end);
      this.#clock.advance(till - this.#clock.now());
      await flush();
      if (till === end && (this.#clock.nextMs ?? end + 1) > end) return;
    }
  }

  stepWall(ms: number): void {
    this.#clock.stepWall(ms);
  }

  restart(limits: readonly Limit[], ms: number): void {
    const kept = JSON.parse(JSON.stringify(this.#limiter.snapshot()));
    this.#clock = new ManualClock(0, this.#clock.wall() + ms);
    this.#limiter = new Limiter({ limits, clock: this.#clock });
    this.#limiter.restore(kept);
  }

  async close(): Promise<void> {
    for (const abort of this.#waits) abort.abort();
    await flush();
    if (this.#clock.timers > 0) throw new Error('nobody waits any more, and a timer is set');
  }
}

/** What was put off until what runs now is done is done then. */
async function flush(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await Promise.resolve();
}

function answerOf(decision: Grant | Reservation | Refusal): Answer {
  if (!decision.allowed) return { decision, held: undefined };
  const refuse = (): never => {
    throw new Error('a grant is no reservation, and a reservation is no grant');
  };
  return {
    decision,
    held: {
      release: async () => decision.release(),
      refund: async () => ('refund' in decision ? decision.refund() : refuse()),
      settle: async (actual) =>
        'settle' in decision ? decision.settle(actual).overspent : refuse(),
    },
  };
}
