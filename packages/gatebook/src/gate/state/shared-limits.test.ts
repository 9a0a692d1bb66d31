import { ManualClock } from '@gatebook/ratelimit';
import { expect, test } from 'vitest';
import type { LimitSpec } from '../../limits.js';
import { type LimitsSnapshot, limitsMax, SharedLimits } from './shared-limits.js';

const day = 86_400_000;

function limit(name: string, count: number, more: Partial<LimitSpec> = {}): LimitSpec {
  return { name, rate: { count, perMs: day }, ...more };
}

/** How many of so many requests are let in. */
function passed(limits: SharedLimits, id: string, count: number, request = {}): number {
  let through = 0;
  for (let at = 0; at < count; at++) if (limits.take(id, request).allowed) through++;
  return through;
}

/** The next holder, after this one has ended in order. */
function next(limits: SharedLimits, clock: ManualClock): SharedLimits {
  const stored = JSON.parse(JSON.stringify(limits.snapshot())) as LimitsSnapshot;
  const after = new SharedLimits({ clock });
  after.restore(stored);
  return after;
}

test('equal limits are one bucket, others are not', () => {
  const limits = new SharedLimits({ clock: new ManualClock(0, 0) });
  const one = limits.register([limit('all', 5)]);
  const same = limits.register([limit('all', 5), limit('more', 100)]);
  const other = limits.register([limit('all', 6)]);
  expect(passed(limits, one, 3)).toBe(3);
  expect(passed(limits, same, 9)).toBe(2);
  expect(passed(limits, other, 9)).toBe(6);
  expect(limits.nameOf(limits.take(one, {}))).toBe('all');
});

test('a call takes from all limits of its configuration, or from none', () => {
  const limits = new SharedLimits({ clock: new ManualClock(0, 0) });
  const two = limits.register([limit('all', 5), limit('tool', 1, { tool: 'w*', scope: ['tool'] })]);
  expect(passed(limits, two, 4, { tool: 'wx' })).toBe(1);
  expect(passed(limits, two, 9, { tool: 'r' })).toBe(4);
});

test('a limit that replaces another one begins with what is used of it', () => {
  const limits = new SharedLimits({ clock: new ManualClock(0, 0) });
  const before = limits.register([limit('all', 5, { scope: ['actor'] })]);
  passed(limits, before, 4, { actor: 'ann' });
  const after = limits.register([limit('all', 6, { scope: ['actor'] })], before);
  expect(passed(limits, after, 9, { actor: 'ann' })).toBe(2);
  expect(passed(limits, after, 9, { actor: 'bob' })).toBe(6);
});

test('an edit that is taken back fills no bucket', () => {
  const limits = new SharedLimits({ clock: new ManualClock(0, 0) });
  const six = limits.register([limit('all', 6)]);
  passed(limits, six, 3);
  const five = limits.register([limit('all', 5)], six);
  expect(passed(limits, five, 9)).toBe(2);
  expect(limits.register([limit('all', 6)], five)).toBe(six);
  expect(passed(limits, six, 9)).toBe(1);
  expect(limits.register([limit('all', 5)], six)).toBe(five);
  expect(passed(limits, five, 9)).toBe(0);
});

test('in another scope every bucket has used what all of them have together', () => {
  const clock = new ManualClock(0, 0);
  const limits = new SharedLimits({ clock });
  const each = limits.register([limit('all', 6, { scope: ['actor'] })]);
  passed(limits, each, 3, { actor: 'ann' });
  passed(limits, each, 2, { actor: 'bob' });
  const all = limits.register([limit('all', 6)], each);
  expect(passed(limits, all, 9)).toBe(1);
  limits.register([limit('all', 6, { scope: ['actor'] })], all);
  for (const actor of ['ann', 'bob', 'cid']) expect(passed(limits, each, 9, { actor })).toBe(0);
  clock.advance(day / 3);
  expect(passed(limits, each, 9, { actor: 'ann' })).toBe(2);
  expect(passed(limits, each, 9, { actor: 'dan' })).toBe(2);
  // What the next holder is left says so too.
  const after = next(limits, clock);
  expect(after.register([limit('all', 6, { scope: ['actor'] })])).toBe(each);
  expect(passed(after, each, 9, { actor: 'eve' })).toBe(2);
});

test('for other tools than before a limit goes on with what was used', () => {
  const limits = new SharedLimits({ clock: new ManualClock(0, 0) });
  const before = limits.register([limit('some', 4, { tool: 'a*' })]);
  passed(limits, before, 3, { tool: 'ab' });
  const after = limits.register([limit('some', 4, { tool: '*' })], before);
  expect(passed(limits, after, 9, { tool: 'ab' })).toBe(1);
});

test('the next holder goes on where this one stood, with what has come back since', () => {
  const clock = new ManualClock(0, 0);
  const before = new SharedLimits({ clock });
  const id = before.register([limit('all', 4)]);
  passed(before, id, 3);
  const stored = JSON.parse(JSON.stringify(before.snapshot())) as ReturnType<
    SharedLimits['snapshot']
  >;
  clock.advance(day / 4);
  const after = new SharedLimits({ clock });
  after.restore(stored);
  expect(after.register([limit('all', 4)])).toBe(id);
  expect(passed(after, id, 9)).toBe(2);
});

test('after a holder that was lost every bucket is empty as of then', () => {
  const clock = new ManualClock(0, 10 * day);
  const limits = new SharedLimits({ clock, emptyAtMs: 10 * day - day / 2 });
  const id = limits.register([limit('all', 4, { scope: ['actor'] }), limit('few', 2)]);
  expect(passed(limits, id, 9, { actor: 'ann' })).toBe(1);
  clock.advance(day / 2);
  expect(passed(limits, id, 9, { actor: 'bob' })).toBe(1);
  // A reset makes them full, whatever was unknown.
  expect(limits.reset()).toBe(2);
  expect(passed(limits, id, 9, { actor: 'cid' })).toBe(2);
});

test('what was unknown to a holder that ended in order is unknown to the next one too', () => {
  const clock = new ManualClock(0, 10 * day);
  const lost = { clock, emptyAtMs: 10 * day };
  const limit4 = limit('all', 4, { scope: ['actor'] });
  const seen = new SharedLimits(lost);
  passed(seen, seen.register([limit4]), 1, { actor: 'ann' });
  // The one in the middle had the limit and met one actor, or did not even hear of the limit.
  for (const middle of [seen, new SharedLimits(lost)]) {
    const after = next(next(middle, clock), clock);
    const id = after.register([limit4]);
    expect(passed(after, id, 9, { actor: 'ann' })).toBe(0);
    expect(passed(after, id, 9, { actor: 'bob' })).toBe(0);
  }
  clock.advance(day / 2);
  const later = next(seen, clock);
  const id = later.register([limit4]);
  expect(passed(later, id, 1, { actor: 'ann' })).toBe(1);
  // What is met again has used what was taken since, and not what is unknown once more.
  const last = next(later, clock);
  last.register([limit4]);
  expect(passed(last, id, 9, { actor: 'ann' })).toBe(1);
  expect(passed(last, id, 9, { actor: 'bob' })).toBe(2);
});

test('what a reset has filled, and what has come back, is not unknown to the next holder', () => {
  const clock = new ManualClock(0, 10 * day);
  const limits = new SharedLimits({ clock, emptyAtMs: 10 * day });
  limits.register([limit('all', 4), limit('few', 2, { tool: 'w' })]);
  limits.reset('all');
  const after = next(limits, clock);
  const id = after.register([limit('all', 4), limit('few', 2, { tool: 'w' })]);
  expect(passed(after, id, 9, { tool: 'w' })).toBe(0);
  expect(passed(after, id, 9)).toBe(4);
  clock.advance(day);
  const last = next(after, clock);
  last.register([limit('all', 4), limit('few', 2, { tool: 'w' })]);
  expect(passed(last, id, 9, { tool: 'w' })).toBe(2);
});

test('a limit that replaces another one of a lost holder has used all it can', () => {
  const clock = new ManualClock(0, 10 * day);
  const limits = new SharedLimits({ clock, emptyAtMs: 10 * day });
  const before = limits.register([limit('all', 5)]);
  expect(passed(limits, before, 9)).toBe(0);
  expect(passed(limits, limits.register([limit('all', 9)], before), 9)).toBe(0);
});

test('a snapshot in which what is unknown is damaged is none', () => {
  const clock = new ManualClock(0, 10 * day);
  const limits = new SharedLimits({ clock, emptyAtMs: 10 * day });
  limits.register([limit('all', 4)]);
  const stored = limits.snapshot();
  for (const bad of [{ emptyAtMs: 'x' }, { floors: [{ used: null, atMs: 0 }] }]) {
    const after = new SharedLimits({ clock });
    expect(() => after.restore({ ...stored, ...bad } as unknown as LimitsSnapshot)).toThrow(
      /no number/,
    );
  }
});

test('a limit for some tools is empty too when its holder was lost', () => {
  const clock = new ManualClock(0, day);
  const limits = new SharedLimits({ clock, emptyAtMs: day });
  const id = limits.register([limit('writes', 4, { tool: 'w*' })]);
  expect(passed(limits, id, 5, { tool: 'w' })).toBe(0);
  expect(passed(limits, id, 5, { tool: 'r' })).toBe(5);
});

test('there is a bound to the limits of all configurations, and room is made by the idle only', () => {
  const clock = new ManualClock(0, 0);
  const limits = new SharedLimits({ clock });
  const ids = Array.from({ length: limitsMax }, (_, at) => limits.register([limit(`l${at}`, 2)]));
  expect(() => limits.register([limit('more', 1)])).toThrow(/more than 256 different limits/);
  expect(limits.take(ids[0]!, {}).allowed).toBe(true);
  clock.advance(3_600_001);
  expect(limits.knows(limits.register([limit('more', 1)]))).toBe(true);
  // The one that is in use has stayed.
  expect(passed(limits, ids[0]!, 3)).toBe(1);
});

test('no room is made by a limit of the configuration that needs it', () => {
  const clock = new ManualClock(0, 0);
  const limits = new SharedLimits({ clock });
  for (let at = 0; at < limitsMax; at++) limits.register([limit(`l${at}`, 2)]);
  clock.advance(3_600_001);
  const both = limits.register([limit('l0', 2), limit('more', 9)]);
  expect(passed(limits, both, 5)).toBe(2);
});

test('what is not registered is unknown', () => {
  const limits = new SharedLimits();
  expect(() => limits.take('x', {})).toThrow(/not known here/);
});

test('a reset of all fills limits that come later too, a reset of one does not', () => {
  const limits = new SharedLimits({ clock: new ManualClock(0, day), emptyAtMs: day });
  const first = limits.register([limit('first', 2)]);
  expect(passed(limits, first, 3)).toBe(0);
  limits.reset('first');
  expect(passed(limits, first, 3)).toBe(2);
  expect(passed(limits, limits.register([limit('second', 2)]), 3)).toBe(0);
  limits.reset();
  expect(passed(limits, limits.register([limit('third', 2)]), 3)).toBe(2);
});
