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
import type { Answer, LocalSubject } from './subject.js';

/** The limiter in memory, with a clock that stands still until it is moved. */
export class MemorySubject implements LocalSubject {
  #clock: ManualClock;
  #limiter: Limiter;

  constructor(limits: readonly Limit[], wall: number) {
    this.#clock = new ManualClock(0, wall);
    this.#limiter = new Limiter({ limits, clock: this.#clock });
  }

  async take(request: LimitRequest): Promise<Answer> {
    return answerOf(this.#limiter.take(request));
  }

  async reserve(request: LimitRequest, estimate: number): Promise<Answer> {
    return answerOf(this.#limiter.reserve(request, estimate));
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
    this.#clock.advance(ms);
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

  async close(): Promise<void> {}
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
