import type { Caller } from '@gatebook/audit';
import { ManualClock } from '@gatebook/ratelimit';
import { expect, test } from 'vitest';
import type { LimitSpec } from '../../limits.js';
import { permitMs } from './calls-under-way.js';
import { GateState, grantsMax, type StateSnapshot } from './gate-state.js';
import type { Answer, Ask, Op } from './message.js';

/** Limits of what is in flight, among gates and from holder to holder. */

const ann: Caller = { client: 'a'.repeat(32), pid: 1 };
const bob: Caller = { client: 'b'.repeat(32), pid: 2 };
const wallMs = 1_790_000_000_000;

function ask<O extends Op>(state: GateState, from: Caller, op: O, message: Ask<O>): Answer<O> {
  return JSON.parse(state.answer(JSON.stringify({ op, ...message }), from) as string) as Answer<O>;
}

function specs(inFlight: number, more: Partial<LimitSpec> = {}): LimitSpec[] {
  return [{ name: 'shells', inFlight, ...more }];
}

function register(state: GateState, of = specs(2), from = ann, replaces?: string): string {
  return ask(state, from, 'limits', { specs: of, replaces }).id;
}

/** The grant; undefined where it is refused. */
function take(state: GateState, limits: string, from = ann, request = {}): string | undefined {
  const answer = ask(state, from, 'take', { limits, request });
  return 'grant' in answer ? answer.grant : undefined;
}

function ended(state: GateState, grant: string | undefined, from = ann): void {
  ask(state, from, 'ended', { session: 's', success: true, grant });
}

/** How many more are let in. */
function room(state: GateState, limits: string): number {
  const answer = ask(state, bob, 'peek', { limits, request: {} });
  return 'unknown' in answer ? -1 : (answer.remaining ?? Number.POSITIVE_INFINITY);
}

function after(state: GateState, clock: ManualClock): GateState {
  const next = new GateState({ clock });
  next.restore(JSON.parse(JSON.stringify(state.snapshot())) as StateSnapshot);
  return next;
}

test('as many are in flight as may be, of all gates together, and each makes room when it ends', () => {
  const state = new GateState();
  const limits = register(state);
  const first = take(state, limits);
  const second = take(state, limits, bob);
  expect([first, second, take(state, limits)]).toEqual([
    expect.any(String),
    expect.any(String),
    undefined,
  ]);
  ended(state, first);
  ended(state, first);
  expect(room(state, limits)).toBe(1);
  ask(state, bob, 'refund', { grant: second! });
  expect(room(state, limits)).toBe(2);
});

test('what a gate that has gone had in flight has ended', () => {
  const state = new GateState({ isThere: () => false });
  const limits = register(state);
  take(state, limits, bob);
  take(state, limits, bob);
  state.left(bob);
  expect(room(state, limits)).toBe(2);
  take(state, limits, bob);
  ask(state, bob, 'bye', {});
  expect(room(state, limits)).toBe(2);
});

test('what a gate has in flight that is there and cannot be heard counts on for a while', () => {
  const clock = new ManualClock(0, wallMs);
  const state = new GateState({ clock, isThere: () => true });
  const limits = register(state);
  const grants = [1, 2].map(() => take(state, limits, bob)!);
  state.left(bob);
  expect(take(state, limits)).toBe(undefined);
  // It comes back by another name, and ends one.
  const back: Caller = { client: 'c'.repeat(32), pid: 2 };
  ended(state, grants[0], back);
  expect(room(state, limits)).toBe(1);
  clock.advance(permitMs);
  expect(room(state, limits)).toBe(2);
});

test('an edit of another limit, or one that is taken back, counts no call twice', () => {
  const state = new GateState();
  const rate = (count: number): LimitSpec => ({ name: 'rate', rate: { count, perMs: 1_000 } });
  const before = register(state, [...specs(2), rate(100)]);
  take(state, before);
  const other = register(state, [...specs(2), rate(50)], ann, before);
  expect(state.limits.buckets()[0]?.used).toEqual([['', 1]]);
  const three = register(state, [...specs(3), rate(50)], ann, other);
  register(state, [...specs(2), rate(50)], ann, three);
  expect(room(state, other)).toBe(1);
});

test('calls known from an earlier holder count in an edited limit as soon as they are spoken of', () => {
  const clock = new ManualClock(0, wallMs);
  const before = new GateState({ clock });
  const grant = take(before, register(before, specs(1)))!;
  const state = after(before, clock);
  const one = register(state, specs(1));
  const two = register(state, specs(2), ann, one);
  const calls = [{ grant, request: {} }];
  for (let turn = 0; turn < 3; turn++) ask(state, ann, 'holding', { limits: two, calls });
  expect(room(state, two)).toBe(1);
  ended(state, grant);
  expect([room(state, one), room(state, two)]).toEqual([1, 2]);
});

test('an old call has time to be spoken of when a limit is added', () => {
  const clock = new ManualClock(0, wallMs);
  const state = new GateState({ clock });
  const rate: LimitSpec = { name: 'rate', rate: { count: 100, perMs: 1_000 } };
  const before = register(state, [rate]);
  take(state, before);
  clock.advance(2 * permitMs);
  const limits = register(state, [rate, ...specs(1)], ann, before);
  expect(take(state, limits)).toBe(undefined);
});

test('a message says nothing of what a call costs but its cost, and is of one kind', () => {
  const state = new GateState();
  const limits = register(state, specs(1));
  expect(take(state, limits, ann, { spend: 0 })).toEqual(expect.any(String));
  expect(take(state, limits, ann, { spend: 0 })).toBe(undefined);
  const both = { ...specs(1)[0]!, rate: { count: 1, perMs: 1_000 } };
  const asked = ask(state, ann, 'limits', { specs: [both] });
  expect(asked).toMatchObject({ error: { code: 'bad_message' } });
});

test('what is spoken of and met by no such limit is not kept', () => {
  const state = new GateState();
  const limits = register(state, specs(1, { tool: 'sh' }));
  const session = 's'.repeat(1_000);
  for (let at = 0; at < 10_000; at++) {
    const calls = [{ grant: `g${at}`, request: { session, tool: 'other' } }];
    ask(state, ann, 'holding', { limits, calls });
  }
  expect(state.snapshot().calls).toEqual([]);
  const long = [{ grant: 'g', request: { session: 's'.repeat(2_000), tool: 'sh' } }];
  expect(ask(state, ann, 'holding', { limits, calls: long })).toMatchObject({
    error: { code: 'bad_message' },
  });
});

test('a call that its gate does not speak of lapses, one that it speaks of does not', () => {
  const clock = new ManualClock(0, wallMs);
  const state = new GateState({ clock });
  const limits = register(state);
  const spoken = take(state, limits)!;
  take(state, limits, bob);
  for (let turn = 0; turn < 4; turn++) {
    clock.advance(permitMs / 3);
    ask(state, ann, 'holding', { limits, calls: [{ grant: spoken, request: {} }] });
  }
  expect(room(state, limits)).toBe(1);
  // It can end nothing twice.
  ended(state, spoken);
  expect(room(state, limits)).toBe(2);
});

test('the next holder knows what is in flight, and counts it until it ends or nobody speaks of it', () => {
  const clock = new ManualClock(0, wallMs);
  const before = new GateState({ clock });
  const grants = [take(before, register(before)), take(before, register(before), bob)];
  const state = after(before, clock);
  const limits = register(state);
  expect(take(state, limits)).toBe(undefined);
  ended(state, grants[0]);
  expect(room(state, limits)).toBe(1);
  // Once more from holder to holder.
  const next = after(state, clock);
  expect(room(next, register(next))).toBe(1);
  clock.advance(permitMs);
  expect(room(next, limits)).toBe(2);
});

test('after a holder that was killed none is let in until all that are in flight must have been spoken of', () => {
  const clock = new ManualClock(0, wallMs);
  const state = new GateState({ clock, emptyAtMs: wallMs - 1_000 });
  const limits = register(state);
  const answer = ask(state, ann, 'take', { limits, request: {} });
  expect(answer).toMatchObject({ allowed: false, by: 'shells', retryAfterMs: permitMs - 1_000 });
  const calls = [1, 2, 3].map((each) => ({ grant: `before.${each}`, request: {} }));
  ask(state, bob, 'holding', { limits, calls: calls.slice(0, 1) });
  ask(state, ann, 'holding', { limits, calls: calls.slice(1) });
  for (let turn = 0; turn < 3; turn++) {
    clock.advance(permitMs / 3);
    ask(state, ann, 'holding', { limits, calls });
  }
  // More are in flight than may be, so more than one must end.
  expect(take(state, limits)).toBe(undefined);
  ended(state, 'before.1');
  expect(take(state, limits)).toBe(undefined);
  ended(state, 'before.2', bob);
  expect(take(state, limits)).toEqual(expect.any(String));
});

test('that time is no longer where the clock is set back, nor where the next holder hands over', () => {
  const clock = new ManualClock(0, wallMs);
  const state = new GateState({ clock, emptyAtMs: wallMs });
  const limits = register(state);
  clock.stepWall(-3_600_000);
  clock.advance(permitMs / 2);
  expect(room(state, limits)).toBe(0);
  const next = after(state, clock);
  register(next);
  clock.advance(permitMs / 2 - 1);
  expect(room(next, limits)).toBe(0);
  clock.advance(1);
  expect(room(next, limits)).toBe(2);
});

test('a limit that takes the place of another one goes on with what is in flight', () => {
  const state = new GateState();
  const two = register(state);
  const first = take(state, two);
  take(state, two);
  const three = register(state, specs(3), ann, two);
  expect(room(state, three)).toBe(1);
  const one = register(state, specs(1), ann, three);
  expect(take(state, one)).toBe(undefined);
  ended(state, first);
  expect([room(state, two), room(state, three)]).toEqual([1, 2]);
});

test('a limit that is added counts what is in flight already', () => {
  const clock = new ManualClock(0, wallMs);
  const state = new GateState({ clock });
  const rate: LimitSpec = { name: 'rate', rate: { count: 100, perMs: 1_000 } };
  const before = register(state, [rate]);
  const grants = [1, 2].map(() => take(state, before));
  const limits = register(state, [rate, ...specs(3)], ann, before);
  take(state, limits);
  expect(take(state, limits)).toBe(undefined);
  const next = after(state, clock);
  expect(take(next, register(next, [rate, ...specs(3)]))).toBe(undefined);
  ended(state, grants[0]);
  expect(take(state, limits)).toEqual(expect.any(String));
});

test('is of each tool or user where it says so, and of none that it is not about', () => {
  const state = new GateState();
  const limits = register(state, specs(1, { tool: 'sh*', scope: ['actor'] }));
  expect(take(state, limits, ann, { tool: 'sh', actor: 'a' })).toEqual(expect.any(String));
  expect(take(state, limits, ann, { tool: 'sh', actor: 'a' })).toBe(undefined);
  expect(take(state, limits, ann, { tool: 'sh', actor: 'b' })).toEqual(expect.any(String));
  for (let call = 0; call < 3; call++) {
    expect(take(state, limits, ann, { tool: 'read', actor: 'a' })).toEqual(expect.any(String));
  }
});

test('an operator’s reset lets in what the killed holder left unknown, and ends no call', () => {
  const state = new GateState({ clock: new ManualClock(0, wallMs), emptyAtMs: wallMs });
  const limits = register(state);
  state.limits.reset();
  take(state, limits);
  state.limits.reset('shells');
  expect(room(state, limits)).toBe(1);
});

test('what is in flight is not forgotten for what was taken later, and there is a bound', () => {
  const state = new GateState();
  const limits = register(state, specs(grantsMax + 10, { tool: 'sh' }));
  const first = take(state, limits, ann, { tool: 'sh' });
  for (let call = 0; call <= grantsMax; call++) take(state, limits, ann, { tool: 'other' });
  ended(state, first);
  expect(room(state, register(state, specs(grantsMax + 10, { tool: 'sh' })))).toBe(
    Number.POSITIVE_INFINITY,
  );
  expect(state.limits.buckets()[0]?.used).toEqual([]);
  for (let call = 0; call < grantsMax; call++) take(state, limits, bob, { tool: 'sh' });
  expect(ask(state, bob, 'take', { limits, request: { tool: 'sh' } })).toMatchObject({
    error: { code: 'too_many_limits' },
  });
});
