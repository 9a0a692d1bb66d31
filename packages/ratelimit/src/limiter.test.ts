import { describe, expect, test } from 'vitest';
import { type Limit, parseRate } from './limit.js';
import { Limiter } from './limiter.js';
import { ManualClock } from './manual-clock.js';

const perMin = (name: string, count: number, more: Partial<Limit> = {}): Limit =>
  ({ name, rate: { count, perMs: 60_000 }, ...more }) as Limit;

function open(...limits: Limit[]): { limiter: Limiter; clock: ManualClock } {
  const clock = new ManualClock();
  return { limiter: new Limiter({ limits, clock }), clock };
}

describe('what goes wrong elsewhere', () => {
  test('a call that the user’s bucket refuses costs nothing in the global one', () => {
    const { limiter } = open(perMin('all', 100), perMin('user', 2, { scope: ['actor'] }));
    const decisions = Array.from({ length: 50 }, () => limiter.take({ actor: 'a' }));
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(2);
    expect(decisions.at(-1)).toMatchObject({ allowed: false, by: 'user', reason: 'limit' });
    const others = Array.from({ length: 200 }, (_, i) => limiter.take({ actor: `b${i}` }));
    expect(others.filter(({ allowed }) => allowed)).toHaveLength(98);
  });

  test('a denied call costs nothing: with 8 of 10 used, 5 are refused and then 1 and 1 fit', () => {
    const { limiter } = open(perMin('all', 10));
    expect(limiter.take({ cost: 8 }).allowed).toBe(true);
    expect(limiter.take({ cost: 5 }).allowed).toBe(false);
    expect(limiter.take({ cost: 1 }).allowed).toBe(true);
    expect(limiter.take({ cost: 1 }).allowed).toBe(true);
    expect(limiter.take({ cost: 1 }).allowed).toBe(false);
  });

  test('five aborted waiters keep nothing: the next one waits for one second, not for six', async () => {
    const { limiter, clock } = open({ name: 'all', rate: { count: 1, perMs: 1_000 } });
    expect(limiter.take({}).allowed).toBe(true);
    const aborting = new AbortController();
    const aborted = Array.from({ length: 5 }, () =>
      limiter.wait({}, { signal: aborting.signal }).catch((error: Error) => error.name),
    );
    await Promise.resolve();
    aborting.abort();
    expect(await Promise.all(aborted)).toEqual(Array.from({ length: 5 }, () => 'AbortError'));
    let served = -1;
    const next = limiter.wait({}).then(() => {
      served = clock.now();
    });
    clock.advance(1_000);
    await next;
    expect(served).toBe(1_000);
    expect(clock.timers).toBe(0);
  });

  test('take does not pass who waits for a heavy cost', async () => {
    const { limiter, clock } = open({ name: 'all', rate: { count: 100, perMs: 1_000 }, burst: 5 });
    expect(limiter.take({ cost: 5 }).allowed).toBe(true);
    let served = -1;
    const heavy = limiter.wait({ cost: 5 }).then(() => {
      served = clock.now();
    });
    await Promise.resolve();
    for (let i = 0; i < 49; i++) {
      clock.advance(1);
      expect(limiter.take({ cost: 1 })).toMatchObject({ allowed: false, reason: 'queue' });
    }
    clock.advance(1);
    await heavy;
    expect(served).toBe(50);
  });

  test('a window of 30 days of 1 allows 1 of 5', () => {
    const { limiter, clock } = open({ name: 'month', rate: parseRate('1/30day') });
    const decisions = Array.from({ length: 5 }, () => limiter.take({}));
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, false, false, false, false]);
    clock.advance(30 * 86_400_000 - 1);
    expect(limiter.take({})).toMatchObject({ allowed: false, retryAfterMs: 1 });
    clock.advance(1);
    expect(limiter.take({}).allowed).toBe(true);
  });

  test('a wall clock that is set back by an hour blocks nobody', () => {
    const { limiter, clock } = open({ name: 'all', rate: parseRate('1/s') });
    limiter.take({});
    clock.stepWall(-3_600_000);
    expect(limiter.take({}).retryAfterMs).toBe(1_000);
    clock.advance(1_000);
    expect(limiter.take({}).allowed).toBe(true);
  });

  test('one timer serves all who wait', async () => {
    const { limiter, clock } = open({ name: 'all', rate: parseRate('10/s'), burst: 1 });
    const waiting = Array.from({ length: 100 }, () => limiter.wait({}));
    await Promise.resolve();
    expect(clock.timers).toBe(1);
    clock.advance(9_900);
    const decisions = await Promise.all(waiting);
    expect(decisions.every(({ allowed }) => allowed)).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('a limit of 0 lets nothing in, at no time', () => {
    const { limiter, clock } = open({ name: 'none', rate: parseRate('0/min') });
    expect(limiter.take({})).toMatchObject({
      allowed: false,
      reason: 'never',
      remaining: 0,
      limit: 0,
    });
    clock.advance(1e12);
    expect(limiter.take({}).allowed).toBe(false);
    expect(limiter.take({ cost: 0 }).allowed).toBe(true);
  });

  test('a fractional rate gives a token when a whole one has come', () => {
    const { limiter, clock } = open({ name: 'slow', rate: parseRate('0.5/day'), burst: 1 });
    expect(limiter.take({}).allowed).toBe(true);
    expect(limiter.take({}).retryAfterMs).toBe(2 * 86_400_000);
    clock.advance(2 * 86_400_000);
    expect(limiter.take({}).allowed).toBe(true);
  });

  test('a user called tool:x is not the tool x, nor is one who is absent', () => {
    const each = perMin('each', 1, { scope: ['actor', 'tool'] });
    const { limiter } = open(each);
    const requests = [
      { actor: 'a', tool: 'bc' },
      { actor: 'ab', tool: 'c' },
      { actor: '1:a', tool: '' },
      { actor: 'a:b', tool: 'c' },
      { actor: 'a', tool: 'b:c' },
      { actor: 'a1', tool: ':b' },
      { actor: 'a', tool: '1::b' },
      { tool: 'a' },
      { actor: '-', tool: 'a' },
      { actor: 'a' },
      { actor: 'a', tool: '-' },
      {},
      { actor: '', tool: '' },
    ];
    for (const request of requests)
      expect(limiter.take(request).allowed, JSON.stringify(request)).toBe(true);
    for (const request of requests) expect(limiter.take(request).allowed).toBe(false);
    const { limiter: one } = open(perMin('user', 1, { scope: ['actor'] }));
    for (const actor of [undefined, '', '\0-', '\0', '\0\0-', 'undefined'])
      expect(one.take({ actor }).allowed, JSON.stringify(actor)).toBe(true);
  });
});

describe('keys', () => {
  test('are forgotten when their bucket is full again, and never while it is not', () => {
    const clock = new ManualClock();
    const user: Limit = { name: 'user', scope: ['actor'], rate: parseRate('1/s'), maxKeys: 100 };
    const limiter = new Limiter({ limits: [user], clock });
    for (let i = 0; i < 100; i++) expect(limiter.take({ actor: `u${i}` }).allowed).toBe(true);
    expect(limiter.take({ actor: 'one more' })).toMatchObject({
      allowed: false,
      reason: 'keys',
      by: 'user',
    });
    for (let i = 0; i < 100; i++) expect(limiter.take({ actor: `u${i}` }).reason).toBe('limit');
    clock.advance(1_000);
    for (let i = 0; i < 100; i++) expect(limiter.take({ actor: `v${i}` }).allowed).toBe(true);
    expect(limiter.counters()[0]).toMatchObject({ keys: 100, allowed: 200, refused: 101 });
  });
});

describe('who waits', () => {
  test('is passed when held up by an own key, and holds nothing of the parent', async () => {
    const { limiter, clock } = open(
      { name: 'all', rate: parseRate('100/s'), burst: 2 },
      { name: 'user', scope: ['actor'], rate: parseRate('1/s'), burst: 1 },
    );
    limiter.take({ actor: 'a' });
    const order: string[] = [];
    const waiting = ['a', 'b', 'c'].map((actor) =>
      limiter.wait({ actor }).then(() => order.push(actor)),
    );
    await Promise.resolve();
    clock.advance(20);
    await Promise.resolve();
    expect(limiter.take({ actor: 'd' }).allowed).toBe(true);
    clock.advance(1_000);
    await Promise.all(waiting);
    expect(order).toEqual(['b', 'c', 'a']);
  });

  test('is passed from when its own key is blocked', async () => {
    const { limiter, clock } = open(
      { name: 'all', rate: parseRate('1/s') },
      { name: 'user', scope: ['actor'], rate: parseRate('1/s'), burst: 10 },
    );
    limiter.take({ actor: 'a' });
    void limiter.wait({ actor: 'a' });
    limiter.block('user', { actor: 'a' }, 10_000);
    clock.advance(1_000);
    expect(limiter.take({ actor: 'b' })).toMatchObject({ allowed: true });
  });

  test('is refused at once when it can never fit or not in time, and later when time is up', async () => {
    const { limiter, clock } = open({ name: 'all', rate: parseRate('1/s'), burst: 2 });
    expect(await limiter.wait({ cost: 3 })).toMatchObject({ allowed: false, reason: 'never' });
    limiter.take({ cost: 2 });
    expect(await limiter.wait({}, { timeoutMs: 999 })).toMatchObject({
      allowed: false,
      reason: 'deadline',
    });
    const first = limiter.wait({ cost: 2 });
    const second = limiter.wait({}, { timeoutMs: 2_500 });
    await Promise.resolve();
    clock.advance(2_600);
    expect((await first).allowed).toBe(true);
    expect(await second).toMatchObject({ allowed: false, reason: 'deadline' });
    expect(clock.timers).toBe(0);
  });

  test('for a permit is served when one is released, each release once', async () => {
    const { limiter } = open({ name: 'flight', kind: 'concurrency', max: 1 });
    const first = limiter.take({});
    expect(limiter.take({})).toMatchObject({
      allowed: false,
      retryAfterMs: Number.POSITIVE_INFINITY,
    });
    const second = limiter.wait({});
    const third = limiter.wait({});
    await Promise.resolve();
    if (first.allowed) {
      first.release();
      first.release();
    }
    expect((await second).allowed).toBe(true);
    let served = false;
    void third.then(() => {
      served = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(served).toBe(false);
  });
});

describe('a call that was let in before', () => {
  test('has its permit, beyond what there can be too, and takes nothing else', () => {
    const flight = { name: 'flight', kind: 'concurrency', max: 2, scope: ['actor'] } as const;
    const { limiter } = open(flight, perMin('all', 5));
    const three = [1, 2, 3].map(() => limiter.resume({ actor: 'a' }));
    expect(limiter.permits()).toEqual([{ limit: 'flight', held: [['a', 3]] }]);
    expect(limiter.peek({ actor: 'b' })).toMatchObject({ allowed: true, remaining: 2 });
    expect(limiter.snapshot().limits[1]?.used).toEqual([]);
    for (const { release } of three
      .slice(0, 2)
      .map((each) => ({ release: () => each.release() }))) {
      expect(limiter.take({ actor: 'a' })).toMatchObject({ allowed: false, by: 'flight' });
      release();
      release();
    }
    expect(limiter.take({ actor: 'a' }).allowed).toBe(true);
    expect(limiter.permits()[0]?.held).toEqual([['a', 2]]);
  });

  test('lets in who waits for its permit when it ends', async () => {
    const { limiter } = open({ name: 'flight', kind: 'concurrency', max: 1 });
    const call = limiter.resume({});
    const waiting = limiter.wait({});
    await Promise.resolve();
    call.release();
    expect((await waiting).allowed).toBe(true);
  });
});

describe('who cannot wait any more', () => {
  test('leaves nothing barred behind', async () => {
    const { limiter, clock } = open({ name: 'flight', kind: 'concurrency', max: 1 });
    const first = limiter.take({});
    const abort = new AbortController();
    const waiting = limiter.wait({}, { signal: abort.signal }).catch(() => 'aborted');
    await Promise.resolve();
    abort.abort();
    expect(await waiting).toBe('aborted');
    const late = limiter.wait({}, { timeoutMs: 10 });
    await Promise.resolve();
    clock.advance(10);
    expect((await late).reason).toBe('deadline');
    if (first.allowed) first.release();
    expect(limiter.take({}).allowed).toBe(true);
  });

  test('because it never fits is refused, whatever else it lacks, also after the limits changed', async () => {
    const { limiter } = open({ name: 'flight', kind: 'concurrency', max: 1 }, perMin('all', 5));
    limiter.take({});
    expect(await limiter.wait({ cost: 6 })).toMatchObject({ reason: 'never', by: 'all' });
    const { limiter: other } = open(perMin('all', 10));
    other.take({ cost: 10 });
    const heavy = other.wait({ cost: 8 });
    await Promise.resolve();
    other.setLimits([perMin('all', 5)]);
    expect(await heavy).toMatchObject({ allowed: false, reason: 'never' });
  });

  test('because its request is wrong is told so, and the others go on', async () => {
    let broken = false;
    const cost = ({ actor }: { actor?: string | undefined }): number => {
      if (broken && actor === 'a') throw new Error('no cost');
      return 1;
    };
    const { limiter, clock } = open(perMin('all', 60, { burst: 1, cost }));
    limiter.take({ actor: 'b' });
    const bad = limiter.wait({ actor: 'a' }).catch((error: Error) => error.message);
    const good = limiter.wait({ actor: 'b' });
    await Promise.resolve();
    broken = true;
    clock.advance(1_000);
    expect(await bad).toBe('no cost');
    expect((await good).allowed).toBe(true);
  });
});

describe('limits side by side', () => {
  const a: Limit = { name: 'A', scope: ['actor'], rate: parseRate('1/10min') };
  const b: Limit = { name: 'B', scope: ['tool'], rate: parseRate('1/s') };

  test('who waits for one of them lets others at what it does not lack any more', async () => {
    const { limiter, clock } = open(a, b);
    limiter.take({ actor: 'a', tool: 't' });
    void limiter.wait({ actor: 'a', tool: 't' });
    const other = limiter.wait({ actor: 'b', tool: 't' });
    let served = -1;
    void other.then(() => {
      served = clock.now();
    });
    await Promise.resolve();
    clock.advance(1_000);
    await other;
    expect(served).toBe(1_000);
  });

  test('nobody is passed for ever by those who need only one of them', async () => {
    const { limiter, clock } = open({ ...a, rate: parseRate('1/s') }, b);
    limiter.take({ actor: 'b', tool: 't' });
    let served = -1;
    void limiter.wait({ actor: 'a', tool: 't' }).then(() => {
      served = clock.now();
    });
    await Promise.resolve();
    for (let i = 0; i < 20 && served === -1; i++) {
      clock.advance(900);
      limiter.take(i % 2 === 0 ? { actor: 'a', tool: 'u' } : { actor: 'b', tool: 't' });
      await Promise.resolve();
      await Promise.resolve();
    }
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThan(4_000);
  });
});

test('at its deadline who can be served is, and a refusal says when to come back', async () => {
  const { limiter, clock } = open({ name: 'all', rate: parseRate('1/s') });
  limiter.take({});
  const inTime = limiter.wait({}, { timeoutMs: 1_000 });
  const late = await limiter.wait({}, { timeoutMs: 1_500 });
  expect(late).toMatchObject({ allowed: false, reason: 'deadline', retryAfterMs: 2_000 });
  clock.advance(1_000);
  expect((await inTime).allowed).toBe(true);
});

test('what came back by itself is not given back once more', () => {
  const { limiter, clock } = open(perMin('all', 1_000));
  const first = limiter.reserve({}, 1_000);
  clock.advance(60_000);
  limiter.reserve({}, 1_000);
  if (first.allowed) first.settle(0);
  expect(limiter.take({}).allowed).toBe(false);
});

test('a rate below one a unit lets one through at a time', () => {
  const { limiter, clock } = open({ name: 'slow', rate: parseRate('0.5/s') });
  expect(limiter.take({}).allowed).toBe(true);
  expect(limiter.take({}).retryAfterMs).toBe(2_000);
  clock.advance(2_000);
  expect(limiter.take({}).allowed).toBe(true);
});

test('what came back by itself since an earlier one was given back is not given back either', () => {
  const { limiter, clock } = open({ name: 'all', rate: { count: 10, perMs: 10_000 } });
  const first = limiter.take({ cost: 5 });
  const second = limiter.take({ cost: 5 });
  if (first.allowed) first.refund();
  clock.advance(5_000);
  expect(limiter.take({ cost: 5 })).toMatchObject({ allowed: true, remaining: 5 });
  if (second.allowed) second.refund();
  expect(limiter.peek({}).remaining).toBe(5);
});

test('what was taken before a reset is not given back out of what was taken after it', () => {
  const { limiter } = open(perMin('all', 10));
  const first = limiter.take({ cost: 5 });
  limiter.reset('all', {});
  limiter.take({ cost: 5 });
  if (first.allowed) first.refund();
  expect(limiter.peek({}).remaining).toBe(5);
});
