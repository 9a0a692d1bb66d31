import { describe, expect, test } from 'vitest';
import type { LimitEvent } from './events.js';
import { idLastsMs } from './ids.js';
import { type Limit, parseRate } from './limit.js';
import { Limiter, type LimiterOptions } from './limiter.js';
import { ManualClock } from './manual-clock.js';

const all: Limit = { name: 'all', rate: { count: 10, perMs: 3_600_000 } };

function open(
  limits: Limit[],
  more: Partial<LimiterOptions> = {},
): { limiter: Limiter; clock: ManualClock } {
  const clock = new ManualClock();
  return { limiter: new Limiter({ limits, clock, ...more }), clock };
}

describe('a request with an id', () => {
  test('is charged once within 30 s, and has the same answer', () => {
    const { limiter, clock } = open([all]);
    const first = limiter.take({ actor: 'a' }, { id: '1' });
    clock.advance(idLastsMs - 1);
    expect(limiter.take({ actor: 'a' }, { id: '1' })).toBe(first);
    expect(limiter.peek({}).remaining).toBe(9);
    limiter.take({ actor: 'a' }, { id: '2' });
    limiter.take({ actor: 'a' });
    clock.advance(1);
    expect(limiter.take({ actor: 'a' }, { id: '1' })).not.toBe(first);
    expect(limiter.peek({}).remaining).toBe(6);
  });

  test('that differs from the one of that id is an error, and costs nothing', async () => {
    const { limiter } = open([all]);
    limiter.take({ actor: 'a' }, { id: '1' });
    const conflict = expect.objectContaining({ code: 'idempotency_conflict' });
    for (const other of [{}, { actor: 'b' }, { actor: 'a', cost: 1 }, { tool: 'a' }])
      expect(() => limiter.take(other, { id: '1' }), JSON.stringify(other)).toThrow(conflict);
    expect(() => limiter.reserve({ actor: 'a' }, 1, { id: '1' })).toThrow(conflict);
    await expect(limiter.wait({ actor: 'b' }, { id: '1' })).rejects.toEqual(conflict);
    expect(limiter.peek({}).remaining).toBe(9);
    expect(() => limiter.take({}, { id: '' })).toThrow('1 to 256 characters');
    expect(() => limiter.take({}, { id: 'x'.repeat(257) })).toThrow('1 to 256 characters');
  });

  test('that was refused is asked anew, and one that was given back pays again', () => {
    const { limiter, clock } = open([{ name: 'all', rate: parseRate('1/s') }]);
    const first = limiter.take({}, { id: '1' });
    expect(limiter.take({}, { id: '2' }).allowed).toBe(false);
    clock.advance(1_000);
    expect(limiter.take({}, { id: '2' }).allowed).toBe(true);
    if (first.allowed) first.refund();
    expect(limiter.take({}, { id: '1' }).allowed).toBe(false);
  });

  test('has no permit any more when that was released', () => {
    const { limiter } = open([{ name: 'flight', kind: 'concurrency', max: 1 }]);
    const first = limiter.take({}, { id: '1' });
    expect(limiter.take({}, { id: '1' })).toBe(first);
    if (first.allowed) first.release();
    expect(limiter.take({}).allowed).toBe(true);
    expect(limiter.take({}, { id: '1' }).allowed).toBe(false);
  });

  test('is reserved once', () => {
    const { limiter } = open([all]);
    const first = limiter.reserve({}, 6, { id: '1' });
    expect(limiter.reserve({}, 6, { id: '1' })).toBe(first);
    expect(limiter.peek({}).remaining).toBe(4);
    if (first.allowed) first.release();
    expect(limiter.reserve({}, 6, { id: '1' })).not.toBe(first);
    expect(limiter.peek({}).remaining).toBe(4);
  });

  test('waits once: who asks again meanwhile gets the same answer, or waits itself when the first gives up', async () => {
    const { limiter, clock } = open([{ name: 'all', rate: parseRate('1/s') }]);
    limiter.take({});
    const abort = new AbortController();
    const first = limiter.wait({}, { id: '1', signal: abort.signal }).catch(() => 'aborted');
    const second = limiter.wait({}, { id: '1' });
    const third = limiter.wait({}, { id: '1' });
    const short = limiter.wait({}, { id: '1', timeoutMs: 10 });
    await Promise.resolve();
    expect(limiter.take({}, { id: '1' })).toMatchObject({ allowed: false, reason: 'queue' });
    clock.advance(10);
    expect(await short).toMatchObject({ allowed: false, reason: 'deadline' });
    abort.abort();
    expect(await first).toBe('aborted');
    for (let i = 0; i < 10; i++) await Promise.resolve();
    clock.advance(990);
    expect((await second).allowed).toBe(true);
    expect(await third).toBe(await second);
    clock.advance(1_000);
    expect(limiter.peek({}).remaining).toBe(1);
    expect(clock.timers).toBe(0);
  });

  test('is refused when too many ids are known, and let in when the oldest is forgotten', () => {
    const { limiter, clock } = open([{ name: 'all', rate: parseRate('100/s') }], { maxIds: 3 });
    for (const id of ['1', '2', '3']) {
      expect(limiter.take({}, { id }).allowed).toBe(true);
      clock.advance(1_000);
    }
    expect(limiter.take({}, { id: '4' })).toMatchObject({
      allowed: false,
      reason: 'ids',
      retryAfterMs: idLastsMs - 3_000,
    });
    expect(limiter.take({}, { id: '3' }).allowed).toBe(true);
    expect(limiter.take({}).allowed).toBe(true);
    clock.advance(idLastsMs - 3_000);
    expect(limiter.take({}, { id: '4' }).allowed).toBe(true);
    expect(limiter.take({}, { id: '5' }).reason).toBe('ids');
  });
});

describe('events', () => {
  test('tell what was refused, also in the shadow and for want of room, what was blocked and what changed', async () => {
    const events: LimitEvent[] = [];
    const limits: Limit[] = [
      { name: 'user', scope: ['actor'], rate: parseRate('1/min'), maxKeys: 1 },
      { name: 'shadow', rate: parseRate('1/min'), shadow: true },
    ];
    const { limiter, clock } = open(limits, { onEvent: (event) => events.push(event) });
    const ann = { actor: 'ann', password: 'not told' };
    limiter.take(ann);
    expect(events).toEqual([]);
    limiter.take(ann);
    const request = { actor: 'ann' };
    const retryAfterMs = 60_000;
    expect(events.splice(0)).toEqual([
      { kind: 'shadow-refused', limit: 'shadow', reason: 'limit', retryAfterMs, request },
      { kind: 'refused', limit: 'user', reason: 'limit', retryAfterMs, request },
    ]);
    limiter.take({ actor: 'bob' });
    expect(events.splice(0).map(({ kind }) => kind)).toEqual(['shadow-refused', 'keys', 'refused']);
    limiter.block('user', ann, 500);
    limiter.setLimits(limits.slice(0, 1));
    expect(events.splice(0)).toEqual([
      { kind: 'blocked', limit: 'user', forMs: 500, request },
      { kind: 'limits', limits: ['user'] },
    ]);
    const late = limiter.wait(ann, { timeoutMs: 10 });
    await late;
    expect(events.splice(0)).toMatchObject([{ kind: 'refused', reason: 'deadline' }]);
    clock.advance(60_000);
    limiter.take(ann);
    expect(events).toEqual([]);
  });

  test('that a listener throws at change nothing, and one may ask the limiter itself', () => {
    const { limiter } = open([{ name: 'all', rate: parseRate('1/min') }], {
      onEvent: (event) => {
        if (event.kind === 'refused') limiter.peek({ cost: 7 });
        throw new Error('a listener that throws');
      },
    });
    limiter.take({});
    expect(limiter.take({})).toMatchObject({
      allowed: false,
      reason: 'limit',
      retryAfterMs: 60_000,
    });
    expect(limiter.counters()[0]).toMatchObject({ allowed: 1, refused: 1 });
  });
});
