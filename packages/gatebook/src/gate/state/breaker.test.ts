import { expect, test } from 'vitest';
import { Breaker, type BreakerRules, sessionsMax } from './breaker.js';

let now = 0;

function setUp(): Breaker {
  now = 0;
  return new Breaker(() => now);
}

/** How many of so many same calls, one second apart, are let through. */
function passed(breaker: Breaker, count: number, rules: BreakerRules, call = 'x'): number {
  let through = 0;
  for (let at = 0; at < count; at++) {
    now += 1_000;
    if (!breaker.enter('s', call, rules).open) through++;
  }
  return through;
}

/** Makes the call that shows whether the session may go on; its name. */
function probe(breaker: Breaker, call: string, rules: BreakerRules): string {
  const answer = breaker.enter('s', call, rules);
  expect(answer).toMatchObject({ open: false, probe: expect.any(String) as string });
  return answer.open ? '' : answer.probe!;
}

test('so many calls in a row may be the same, and another one begins the count anew', () => {
  const breaker = setUp();
  const rules = { identicalCalls: 3 };
  expect(passed(breaker, 3, rules)).toBe(3);
  expect(passed(breaker, 1, rules, 'y')).toBe(1);
  expect(passed(breaker, 5, rules)).toBe(3);
  expect(breaker.stopped()).toMatchObject([{ session: 's', why: 'identical_calls' }]);
});

test('the call at which it opens says so, and the pause is a minute', () => {
  const breaker = setUp();
  passed(breaker, 1, { identicalCalls: 1 });
  const opens = breaker.enter('s', 'x', { identicalCalls: 1 });
  expect(opens).toEqual({
    open: true,
    why: 'identical_calls',
    bound: 1,
    opens: true,
    retryAfterMs: 60_000,
  });
  now += 59_999;
  expect(breaker.enter('s', 'x', {})).toMatchObject({ open: true, opens: false, retryAfterMs: 1 });
});

test('after the pause one call is let through; a failure doubles the pause, a success ends it', () => {
  const breaker = setUp();
  const rules = { failures: 2 };
  for (let at = 0; at < 2; at++) {
    expect(breaker.enter('s', `${at}`, rules).open).toBe(false);
    breaker.ended('s', false);
  }
  expect(breaker.enter('s', 'c', rules)).toMatchObject({ why: 'failures', retryAfterMs: 60_000 });
  now += 60_000;
  const first = probe(breaker, 'd', rules);
  expect(breaker.enter('s', 'e', rules)).toMatchObject({ open: true, retryAfterMs: 1_000 });
  breaker.ended('s', false, first);
  expect(breaker.enter('s', 'f', rules)).toMatchObject({ open: true, retryAfterMs: 120_000 });
  now += 120_000;
  breaker.ended('s', true, probe(breaker, 'g', rules));
  expect(breaker.enter('s', 'h', rules)).toEqual({ open: false });
});

test('a call that was on its way when the session was stopped settles no probe', () => {
  const breaker = setUp();
  const rules = { identicalCalls: 2 };
  passed(breaker, 3, rules);
  now += 60_000;
  const mine = probe(breaker, 'x', rules);
  breaker.ended('s', true);
  breaker.ended('s', true, 'another');
  expect(breaker.enter('s', 'y', rules)).toMatchObject({ open: true, retryAfterMs: 1_000 });
  breaker.ended('s', false);
  expect(breaker.enter('s', 'y', rules)).toMatchObject({ open: true, retryAfterMs: 1_000 });
  breaker.ended('s', true, mine);
  expect(breaker.enter('s', 'y', rules)).toEqual({ open: false });
});

test('a probe that is not made is another call’s', () => {
  const breaker = setUp();
  const rules = { identicalCalls: 2 };
  passed(breaker, 3, rules);
  now += 60_000;
  const first = probe(breaker, 'x', rules);
  breaker.unprobed('s', first);
  const second = probe(breaker, 'y', rules);
  // Nobody takes from it what it has by now.
  breaker.unprobed('s', first);
  expect(breaker.enter('s', 'z', rules)).toMatchObject({ open: true, retryAfterMs: 1_000 });
  breaker.ended('s', false, second);
  expect(breaker.enter('s', 'z', rules)).toMatchObject({ open: true, retryAfterMs: 120_000 });
});

test('the same loop that goes on after the pause is stopped at once, for longer', () => {
  const breaker = setUp();
  const rules = { identicalCalls: 2 };
  expect(passed(breaker, 3, rules)).toBe(2);
  now += 60_000;
  breaker.ended('s', true, probe(breaker, 'x', rules));
  expect(breaker.enter('s', 'x', rules)).toMatchObject({ opens: true, retryAfterMs: 120_000 });
});

test('a pause never grows beyond an hour', () => {
  const breaker = setUp();
  let pause = 0;
  breaker.enter('s', 'x', { identicalCalls: 1 });
  for (let times = 0; times < 12; times++) {
    const answer = breaker.enter('s', 'x', { identicalCalls: 1 });
    pause = answer.open ? answer.retryAfterMs! : 0;
    now += pause;
    breaker.ended('s', true, probe(breaker, 'x', { identicalCalls: 1 }));
  }
  expect(pause).toBe(3_600_000);
});

test('calls and time have bounds that only a reset lifts', () => {
  const breaker = setUp();
  expect(passed(breaker, 5, { calls: 3 })).toBe(3);
  now += 1e9;
  expect(breaker.enter('s', 'z', { calls: 3 })).not.toHaveProperty('retryAfterMs');
  expect(breaker.reset('s')).toBe(1);
  expect(breaker.enter('s', 'z', { calls: 3 }).open).toBe(false);
  now += 5_001;
  expect(breaker.enter('s', 'y', { wallMs: 5_000 })).toMatchObject({ why: 'wall_time' });
});

test('ten minutes without a call are no loop', () => {
  const breaker = setUp();
  const rules = { identicalCalls: 1, failures: 1 };
  expect(breaker.enter('s', 'x', rules).open).toBe(false);
  breaker.ended('s', false);
  now += 600_001;
  expect(breaker.enter('s', 'x', rules).open).toBe(false);
});

test('sessions do not count for one another', () => {
  const breaker = setUp();
  passed(breaker, 9, { identicalCalls: 2 });
  expect(breaker.enter('other', 'x', { identicalCalls: 2 }).open).toBe(false);
});

test('the next holder goes on where this one stood', () => {
  const before = setUp();
  passed(before, 3, { identicalCalls: 2 });
  const stored = JSON.parse(JSON.stringify(before.snapshot())) as ReturnType<Breaker['snapshot']>;
  const after = new Breaker(() => now);
  after.restore(stored, 10_000);
  expect(after.enter('s', 'x', { identicalCalls: 2 })).toMatchObject({
    open: true,
    opens: false,
    retryAfterMs: 50_000,
  });
});

test('so many sessions are remembered; the idle go first, the stopped last', () => {
  const breaker = setUp();
  breaker.enter('stopped', 'x', { calls: 0 });
  for (let at = 0; at < sessionsMax; at++) breaker.enter(`s${at}`, 'x', { identicalCalls: 1 });
  expect(breaker.enter('stopped', 'y', {}).open).toBe(true);
  // The first one was forgotten, so this is its first call.
  expect(breaker.enter('s0', 'x', { identicalCalls: 1 }).open).toBe(false);
  expect(breaker.enter(`s${sessionsMax - 1}`, 'x', { identicalCalls: 1 }).open).toBe(true);
});
