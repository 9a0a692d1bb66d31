import type { LimitRequest } from '@gatebook/ratelimit';
import fc from 'fast-check';
import { expect } from 'vitest';
import { expectSame, type Model, type Real, type Step } from './commands.js';
import type { WaitEnded } from './subject.js';

/** Does a step, sees to it that whoever may be served now is, and that the limiter says so of the same ones at the same time. */
export class Served implements Step {
  constructor(readonly step: Step) {}
  check = (model: Readonly<Model>): boolean => this.step.check(model);
  toString = (): string => this.step.toString();

  async run(model: Model, real: Real): Promise<void> {
    await this.step.run(model, real);
    model.line.run();
    expectSameEnds(model, real, await real.subject.ended());
  }
}

/** Somebody comes to wait. */
export class Wait implements Step {
  constructor(
    readonly request: LimitRequest,
    readonly timeoutMs: number | undefined,
  ) {}
  check = (): boolean => true;
  toString = (): string => `wait(${fc.stringify(this.request)}, ${this.timeoutMs} ms)`;

  async run(model: Model, real: Real): Promise<void> {
    const waiter = model.line.made;
    await real.subject.wait(this.request, this.timeoutMs);
    const ends = await real.subject.ended();
    const own = ends.find((end) => end.waiter === waiter);
    const isRefusedLate = own?.answer?.decision.reason === 'deadline';
    const isLate = model.line.add(this.request, this.timeoutMs, isRefusedLate);
    // Who cannot be in time is told so at once, and nobody else is.
    if (isLate !== undefined)
      expect(isRefusedLate, 'is refused at once since it will not be in time').toBe(isLate);
    expectSameEnds(model, real, ends);
  }
}

/** One who waits gives up. */
export class Abort implements Step {
  constructor(readonly which: number) {}
  check = ({ line }: Readonly<Model>): boolean => line.mayGiveUp.length > 0;
  toString = (): string => `abort(${this.which})`;

  async run(model: Model, real: Real): Promise<void> {
    const { mayGiveUp } = model.line;
    const waiter = mayGiveUp[this.which % mayGiveUp.length]!;
    await real.subject.abort(waiter);
    model.line.abort(waiter);
    const ends = await real.subject.ended();
    expect(ends.find((end) => end.waiter === waiter)?.answer, 'who gives up').toBe(undefined);
    const others = ends.filter((end) => end.waiter !== waiter);
    expect(others).toHaveLength(ends.length - 1);
    expectSameEnds(model, real, others);
  }
}

function expectSameEnds({ line, exact }: Model, { held }: Real, told: readonly WaitEnded[]): void {
  const expected = line.ended.splice(0);
  const times = (ends: readonly { waiter: number; now: number }[]): string[] =>
    ends.map(({ waiter, now }) => `waiter ${waiter} at ${now} ms`).sort();
  expect(times(told)).toEqual(times(expected));
  for (const { waiter, answer } of told) {
    const end = expected.find((one) => one.waiter === waiter)!;
    if (answer === undefined) throw new Error(`waiter ${waiter} was rejected`);
    if (end.isOld === true) {
      const { allowed, reason } = end.expected;
      expect(answer.decision).toMatchObject(allowed ? { allowed } : { allowed, reason });
    } else if (end.isLate) {
      // It is told behind whom it would be served; at the earliest when its own limits let it in.
      const { retryAfterMs } = answer.decision;
      const own = end.expected.retryAfterMs;
      expect(retryAfterMs).toBeGreaterThanOrEqual(Number.isFinite(own) ? own : 0);
      expectSame(answer.decision, { ...end.expected, retryAfterMs });
    } else expectSame(answer.decision, end.expected);
    if (end.expected.isOpen) exact.rename(end.expected.by, answer.decision.by);
    if (end.taker !== undefined && answer.held !== undefined) held[end.taker] = answer.held;
  }
}
