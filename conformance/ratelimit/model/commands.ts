import type { Decision, LimitRequest } from '@gatebook/ratelimit';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { ExactLimiter, Expected } from './exact-limiter.js';
import type { Line } from './exact-line.js';
import type { Held, Subject } from './subject.js';
import type { NamedPlan } from './world.js';

/** The reference, and the limits that it works by. */
export interface Model {
  readonly exact: ExactLimiter;
  readonly line: Line;
  plans: readonly NamedPlan[];
  /** Limits that were made so far, which are their names. */
  made: number;
}

export interface Real<S extends Subject = Subject> {
  readonly subject: S;
  /** By the numbers that the reference has for them. */
  held: Held[];
}

export type Step<S extends Subject = Subject> = fc.AsyncCommand<Model, Real<S>, false>;

export function expectSame(told: Decision, expected: Expected): void {
  const { resetMs, isOpen, ...exact } = expected;
  if (isOpen) {
    expect(told).toMatchObject({ allowed: false, retryAfterMs: exact.retryAfterMs });
    const reasons = ['queue', 'limit'];
    expect(reasons.includes(exact.reason ?? '') ? reasons : [exact.reason]).toContain(told.reason);
    return;
  }
  const { allowed, by, remaining, limit, retryAfterMs, reason } = told;
  expect({ allowed, by, remaining, limit, retryAfterMs, reason }).toEqual(exact);
  expect(told.resetMs).toBeGreaterThanOrEqual(resetMs.least);
  expect(told.resetMs).toBeLessThanOrEqual(resetMs.most);
}

/** What was decided of a request, and is counted. */
function expectDecided(
  exact: ExactLimiter,
  told: Decision,
  expected: Expected,
  request: LimitRequest,
) {
  if (exact.mayRemember(request, told)) {
    expect(expected.allowed).toBe(false);
    expect(told.retryAfterMs).toBeGreaterThan(0);
    expect(told.retryAfterMs).toBeLessThanOrEqual(expected.retryAfterMs);
    exact.rename(expected.by, told.by);
    return;
  }
  expectSame(told, expected);
  if (expected.isOpen) exact.rename(expected.by, told.by);
}

/** Nobody waits for longer. */
export const longestMs = 10 * 365 * 86_400_000;

const shown = (request: LimitRequest): string => fc.stringify(request);

export class Take implements Step {
  constructor(readonly request: LimitRequest) {}
  check = (): boolean => true;
  toString = (): string => `take(${shown(this.request)})`;

  async run({ exact, line }: Model, { subject, held }: Real): Promise<void> {
    const answer = await subject.take(this.request);
    const claimed = line.claimed(this.request);
    if (claimed.length > 0) {
      const { allowed, reason, by } = answer.decision;
      expect({ allowed, reason }).toEqual({ allowed: false, reason: 'queue' });
      expect(claimed).toContain(by);
      return;
    }
    const taker = exact.takers;
    const expected = exact.take(this.request);
    expectDecided(exact, answer.decision, expected, this.request);
    if (answer.held !== undefined) held[taker] = answer.held;
  }
}

export class Peek implements Step {
  constructor(readonly request: LimitRequest) {}
  check = (): boolean => true;
  toString = (): string => `peek(${shown(this.request)})`;

  async run({ exact }: Model, { subject }: Real): Promise<void> {
    expectSame(await subject.peek(this.request), exact.peek(this.request));
  }
}

/** Waits for exactly as long as a refusal says, or a ms less, and asks again. */
export class TakeWhenTold implements Step {
  constructor(
    readonly request: LimitRequest,
    readonly early: boolean,
    readonly mostMs: number,
  ) {}
  check = (): boolean => true;
  toString = (): string =>
    `takeWhenTold(${shown(this.request)}${this.early ? ', 1 ms early' : ''})`;

  async run(model: Model, real: Real): Promise<void> {
    await new Peek(this.request).run(model, real);
    const { retryAfterMs } = model.exact.peek(this.request);
    if (retryAfterMs === 0 || retryAfterMs > this.mostMs) return;
    await new Pass(this.early ? retryAfterMs - 1 : retryAfterMs).run(model, real);
    await new Take(this.request).run(model, real);
  }
}

export class Reserve implements Step {
  constructor(
    readonly request: LimitRequest,
    readonly estimate: number,
  ) {}
  check = (): boolean => true;
  toString = (): string => `reserve(${shown(this.request)}, ${this.estimate})`;

  async run({ exact }: Model, { subject, held }: Real): Promise<void> {
    const answer = await subject.reserve(this.request, this.estimate);
    const taker = exact.takers;
    const expected = exact.reserve(this.request, this.estimate);
    const request = { ...this.request, cost: this.estimate };
    expectDecided(exact, answer.decision, expected, request);
    if (answer.held !== undefined) held[taker] = answer.held;
  }
}

export class GiveBack implements Step {
  constructor(
    readonly what: 'release' | 'refund',
    readonly which: number,
  ) {}
  check = ({ exact }: Readonly<Model>): boolean => exact.takers > 0;
  toString = (): string => `${this.what}(${this.which})`;

  async run({ exact }: Model, { held }: Real): Promise<void> {
    const taker = this.which % exact.takers;
    // A reservation that is released gives back all of it.
    const isReservation = exact.isReservation(taker);
    const what = isReservation ? 'release' : this.what;
    const isOfPermits = what === 'release' && !isReservation;
    if (!exact.canGiveBack(taker, isOfPermits ? 'permits' : 'all')) return;
    await held[taker]![what]();
    exact[what](taker);
  }
}

export class Settle implements Step {
  constructor(
    readonly which: number,
    readonly actual: number,
  ) {}
  check = ({ exact }: Readonly<Model>): boolean => exact.reservations.length > 0;
  toString = (): string => `settle(${this.which}, ${this.actual})`;

  async run({ exact }: Model, { held }: Real): Promise<void> {
    const { reservations } = exact;
    const taker = reservations[this.which % reservations.length]!;
    if (!exact.canGiveBack(taker, 'all')) return;
    const overspent = await held[taker]!.settle(this.actual);
    // Told in millionths.
    const expected = exact.settle(taker, this.actual).toNumber();
    expect(Math.abs(overspent - expected), `overspent ${overspent}`).toBeLessThan(1e-6);
  }
}

export class Block implements Step {
  constructor(
    readonly which: number,
    readonly request: LimitRequest,
    readonly ms: number,
  ) {}
  check = ({ exact }: Readonly<Model>): boolean => exact.names.length > 0;
  toString = (): string => `block(${this.which}, ${shown(this.request)}, ${this.ms} ms)`;

  async run({ exact }: Model, { subject }: Real): Promise<void> {
    const name = exact.names[this.which % exact.names.length]!;
    const ms = await subject.block(name, this.request, this.ms);
    expect(ms).toBe(exact.block(name, this.request, this.ms));
  }
}

export class Reset implements Step {
  constructor(
    readonly which: number,
    readonly request: LimitRequest,
  ) {}
  check = ({ exact }: Readonly<Model>): boolean => exact.names.length > 0;
  toString = (): string => `reset(${this.which}, ${shown(this.request)})`;

  async run({ exact }: Model, { subject }: Real): Promise<void> {
    const name = exact.names[this.which % exact.names.length]!;
    await subject.reset(name, this.request);
    exact.reset(name, this.request);
  }
}

export class Pass implements Step {
  constructor(readonly ms: number) {}
  check = (): boolean => true;
  toString = (): string => `pass(${this.ms} ms)`;

  async run({ exact, line }: Model, { subject }: Real): Promise<void> {
    const ms = exact.surely(this.ms);
    await subject.advance(ms);
    line.pass(ms);
  }
}

export class Counters implements Step {
  check = (): boolean => true;
  toString = (): string => 'counters()';

  async run({ exact }: Model, { subject }: Real): Promise<void> {
    const told = subject.counters().map(({ keys: _keys, ...counts }) => counts);
    expect(told).toEqual(exact.counters());
  }
}

/** A ms passes first. */
export class Spaced<S extends Subject> implements Step<S> {
  constructor(readonly step: Step<S>) {}
  check = (model: Readonly<Model>): boolean => this.step.check(model);
  toString = (): string => this.step.toString();

  async run(model: Model, real: Real<S>): Promise<void> {
    await new Pass(1).run(model, real);
    await this.step.run(model, real);
  }
}
