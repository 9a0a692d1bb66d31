import {
  type Decision,
  type Grant,
  type Limit,
  type LimitCounters,
  Limiter,
  type LimitRequest,
  ManualClock,
  type Refusal,
} from '@gatebook/ratelimit';
import type { Answer, Subject } from './subject.js';

/** The limiter in memory, with a clock that stands still until it is moved. */
export class MemorySubject implements Subject {
  readonly #clock: ManualClock;
  readonly #limiter: Limiter;

  constructor(limits: readonly Limit[], wall: number) {
    this.#clock = new ManualClock(0, wall);
    this.#limiter = new Limiter({ limits, clock: this.#clock });
  }

  async take(request: LimitRequest): Promise<Answer> {
    return answerOf(this.#limiter.take(request));
  }

  async peek(request: LimitRequest): Promise<Decision> {
    return this.#limiter.peek(request);
  }

  counters(): readonly LimitCounters[] {
    return this.#limiter.counters();
  }

  async advance(ms: number): Promise<void> {
    this.#clock.advance(ms);
  }

  async close(): Promise<void> {}
}

function answerOf(decision: Grant | Refusal): Answer {
  if (!decision.allowed) return { decision, held: undefined };
  return {
    decision,
    held: {
      release: async () => decision.release(),
      refund: async () => decision.refund(),
    },
  };
}
