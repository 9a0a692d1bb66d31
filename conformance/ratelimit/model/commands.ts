import type { Decision, LimitRequest } from '@gatebook/ratelimit';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { ExactLimiter, Expected } from './exact-limiter.js';
import type { Held, Subject } from './subject.js';
import { passing, requests } from './world.js';

/** The reference, and what is known of what it let in. */
export interface Model {
  readonly exact: ExactLimiter;
}

export interface Real {
  readonly subject: Subject;
  /** By the numbers that the reference has for them. */
  readonly held: Held[];
}

export type Step = fc.AsyncCommand<Model, Real, false>;

export function expectSame(told: Decision, expected: Expected): void {
  const { resetMs, ...exact } = expected;
  const { allowed, by, remaining, limit, retryAfterMs, reason } = told;
  expect({ allowed, by, remaining, limit, retryAfterMs, reason }).toEqual(exact);
  expect(told.resetMs).toBeGreaterThanOrEqual(resetMs.least);
  expect(told.resetMs).toBeLessThanOrEqual(resetMs.most);
}

class Take implements Step {
  constructor(readonly request: LimitRequest) {}
  check = (): boolean => true;
  toString = (): string => `take(${fc.stringify(this.request)})`;

  async run({ exact }: Model, { subject, held }: Real): Promise<void> {
    const answer = await subject.take(this.request);
    const taker = exact.takers;
    expectSame(answer.decision, exact.take(this.request));
    if (answer.held !== undefined) held[taker] = answer.held;
  }
}

class Peek implements Step {
  constructor(readonly request: LimitRequest) {}
  check = (): boolean => true;
  toString = (): string => `peek(${fc.stringify(this.request)})`;

  async run({ exact }: Model, { subject }: Real): Promise<void> {
    expectSame(await subject.peek(this.request), exact.peek(this.request));
  }
}

/** Waits for exactly as long as a refusal says, or a ms less, and asks again. */
class TakeWhenTold implements Step {
  constructor(
    readonly request: LimitRequest,
    readonly early: boolean,
  ) {}
  check = ({ exact }: Readonly<Model>): boolean => {
    const { retryAfterMs } = exact.peek(this.request);
    return retryAfterMs > 0 && retryAfterMs < 10 * 365 * 86_400_000;
  };
  toString = (): string =>
    `takeWhenTold(${fc.stringify(this.request)}${this.early ? ', 1 ms early' : ''})`;

  async run(model: Model, real: Real): Promise<void> {
    const { retryAfterMs } = await real.subject.peek(this.request);
    await new Pass(this.early ? retryAfterMs - 1 : retryAfterMs).run(model, real);
    await new Take(this.request).run(model, real);
  }
}

class GiveBack implements Step {
  constructor(
    readonly what: 'release' | 'refund',
    readonly which: number,
  ) {}
  check = ({ exact }: Readonly<Model>): boolean => exact.takers > 0;
  toString = (): string => `${this.what}(${this.which})`;

  async run({ exact }: Model, { held }: Real): Promise<void> {
    const taker = this.which % exact.takers;
    await held[taker]![this.what]();
    exact[this.what](taker);
  }
}

class Pass implements Step {
  constructor(readonly ms: number) {}
  check = (): boolean => true;
  toString = (): string => `pass(${this.ms} ms)`;

  async run({ exact }: Model, { subject }: Real): Promise<void> {
    await subject.advance(this.ms);
    const { now, wall } = exact.at;
    exact.at = { now: now + this.ms, wall: wall + this.ms };
  }
}

class Counters implements Step {
  check = (): boolean => true;
  toString = (): string => 'counters()';

  async run({ exact }: Model, { subject }: Real): Promise<void> {
    const told = subject.counters().map(({ keys: _keys, ...counts }) => counts);
    expect(told).toEqual(exact.counters());
  }
}

const take = requests.map((request) => new Take(request));

export const steps: fc.Arbitrary<Step>[] = [
  take,
  take,
  take,
  requests.map((request) => new Peek(request)),
  fc.tuple(requests, fc.boolean()).map(([request, early]) => new TakeWhenTold(request, early)),
  fc
    .tuple(fc.constantFrom('release' as const, 'refund' as const), fc.nat(30))
    .map(([what, which]) => new GiveBack(what, which)),
  passing.map((ms) => new Pass(ms)),
  fc.constant(new Counters()),
];
