import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { parseRate } from '../limit.js';
import { Limiter } from '../limiter.js';
import { ManualClock } from '../manual-clock.js';
import { rateLimit } from '../node-http/index.js';
import { type Fetch, limitedFetch } from './limited-fetch.js';
import { type LimitedFetchOptions, planOf } from './options.js';
import { Pace } from './pace.js';
import { Paces } from './paces.js';

const url = 'https://api.example/things?token=secret';
const ok = () => new Response('ok');
const refusal = (headers: Record<string, string> = {}, status = 429) =>
  new Response('no', { status, headers });

interface Opened {
  readonly call: Fetch;
  readonly clock: ManualClock;
  /** When each request was sent. */
  readonly sent: number[];
  /** Lets time pass, and what waits for it go on. */
  readonly pass: (ms: number) => Promise<void>;
}

function open(
  answers: readonly (() => Response)[] = [],
  options: Partial<LimitedFetchOptions> = {},
): Opened {
  const clock = new ManualClock();
  const sent: number[] = [];
  const inner: Fetch = async (_input, init) => {
    init?.signal?.throwIfAborted();
    const answer = answers[sent.length] ?? ok;
    sent.push(clock.now());
    return answer();
  };
  const rate = parseRate('10/s');
  const call = limitedFetch(inner, { rate, clock, random: () => 0, ...options });
  const settle = async () => {
    for (let i = 0; i < 30; i++) await null;
  };
  const pass = async (ms: number) => {
    await settle();
    const end = clock.now() + ms;
    for (;;) {
      const next = clock.nextMs;
      if (next === undefined || next > end) break;
      clock.advance(next - clock.now());
      await settle();
    }
    clock.advance(end - clock.now());
    await settle();
  };
  return { call, clock, sent, pass };
}

describe('its own rate', () => {
  test('is kept for each origin alone', async () => {
    const { call, sent, pass } = open([], { burst: 2 });
    const all = Promise.all([
      ...[1, 2, 3, 4].map(() => call(url)),
      ...[1, 2].map(() => call('https://other.example/')),
    ]);
    await pass(0);
    expect(sent).toEqual([0, 0, 0, 0]);
    await pass(1_000);
    await all;
    expect(sent).toEqual([0, 0, 0, 0, 100, 200]);
  });

  test('is kept for each key there is a function for', async () => {
    const { call, sent, pass } = open([], { burst: 1, keyOf: ({ pathname }) => pathname });
    const all = ['a', 'b', 'b'].map((path) => call(`https://api.example/${path}`));
    await pass(1_000);
    await Promise.all(all);
    expect(sent).toEqual([0, 0, 100]);
  });

  test('leaves alone what is no HTTP', async () => {
    const { call, sent } = open([], { burst: 1 });
    for (let i = 0; i < 5; i++) await call('data:,x');
    await call('/relative');
    expect(sent).toHaveLength(6);
  });
});

describe('a refusal', () => {
  test.each([
    ['429 with seconds', { 'retry-after': '5' }, 429],
    ['503 with seconds', { 'retry-after': '5' }, 503],
    ['429 with RateLimit', { ratelimit: '"user";r=0;t=5' }, 429],
    ['429 with the older fields', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '5' }, 429],
  ])('%s is obeyed: nothing is sent to the origin before, and the request again after', async (_, headers, status) => {
    const { call, sent, pass } = open([() => refusal(headers, status)]);
    const first = call(url);
    await pass(1);
    const second = call(url);
    await pass(4_998);
    expect(sent).toEqual([0]);
    await pass(2);
    expect(sent).toEqual([0, 5_000, 5_000]);
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(200);
  });

  test('without a time is waited out twice as long each time', async () => {
    const { call, sent, pass } = open([refusal, refusal, refusal], { maxRetries: 3 });
    const answer = call(url);
    await pass(10_000);
    expect((await answer).status).toBe(200);
    expect(sent).toEqual([0, 1_000, 3_000, 7_000]);
  });

  test('is returned after the last retry', async () => {
    const { call, sent, pass } = open(Array(9).fill(() => refusal({ 'retry-after': '1' })));
    const answer = call(url);
    await pass(10_000);
    expect((await answer).status).toBe(429);
    expect(await (await answer).text()).toBe('no');
    expect(sent).toHaveLength(3);
  });

  test('is returned at once where the wait is too long, and the next call is not sent at all', async () => {
    const { call, sent, pass } = open([() => refusal({ 'retry-after': '120' })]);
    expect((await call(url)).status).toBe(429);
    const next = call(url).catch((error) => error);
    await pass(0);
    expect(await next).toMatchObject({
      code: 'not_sent',
      message:
        'GET https://api.example was not sent: it would have to wait 120000 ms; maxWaitMs is 60000 in all',
    });
    expect(sent).toHaveLength(1);
    await pass(120_000);
    expect((await call(url)).status).toBe(200);
  });

  test('is not believed for longer than maxPauseMs', async () => {
    const { call, pass } = open([() => refusal({ 'retry-after': '99999999999999' })], {
      maxPauseMs: 7_000,
    });
    const answer = call(url);
    await pass(7_000);
    expect((await answer).status).toBe(200);
  });

  test('of what may not be sent twice is returned', async () => {
    const again = () => refusal({ 'retry-after': '1' });
    const stream = () => new Response('x').body!;
    const upload: RequestInit & { duplex: 'half' } = {
      method: 'PUT',
      body: stream(),
      duplex: 'half',
    };
    const posted = open([again]);
    expect((await posted.call(url, { method: 'POST', body: 'x' })).status).toBe(429);
    const streamed = open([again], { mayRetry: () => true });
    expect((await streamed.call(url, upload)).status).toBe(429);
    const request = open([again], { mayRetry: () => true });
    const asked = new Request(url, { method: 'PUT', body: 'x' });
    expect((await request.call(asked)).status).toBe(429);
  });

  test('of what may be is sent again: PUT with a text, and POST where it is allowed', async () => {
    const again = () => refusal({ 'retry-after': '1' });
    const calls: [Partial<LimitedFetchOptions>, RequestInit][] = [
      [{}, { method: 'PUT', body: 'x' }],
      [{}, { method: 'delete' }],
      [{ mayRetry: (method) => method === 'POST' }, { method: 'POST', body: 'x' }],
    ];
    for (const [options, init] of calls) {
      const { call, sent, pass } = open([again], options);
      const answer = call(url, init);
      await pass(1_000);
      expect((await answer).status).toBe(200);
      expect(sent).toHaveLength(2);
    }
  });
});

describe('RateLimit of a success', () => {
  test('with nothing left is a pause', async () => {
    const { call, sent, pass } = open([
      () => new Response('ok', { headers: { ratelimit: '"a";r=0;t=3' } }),
    ]);
    await call(url);
    const next = call(url);
    await pass(3_000);
    await next;
    expect(sent).toEqual([0, 3_000]);
  });

  test('with two left lets two be sent within its window, and then waits for its end', async () => {
    const { call, sent, pass } = open([
      () => new Response('ok', { headers: { ratelimit: '"a";r=2;t=3' } }),
    ]);
    await call(url);
    const next = [1, 2, 3].map(() => call(url));
    await pass(3_000);
    await Promise.all(next);
    expect(sent).toEqual([0, 0, 0, 3_000]);
  });

  test('that was told while others stood in line holds them too, and then they go at the rate', async () => {
    const { call, sent, pass } = open(
      [() => new Response('ok', { headers: { ratelimit: '"a";r=0;t=3' } })],
      { burst: 1 },
    );
    const all = [1, 2, 3, 4].map(() => call(url));
    await pass(5_000);
    await Promise.all(all);
    expect(sent).toEqual([0, 3_000, 3_100, 3_200]);
  });
});

test('a turn that comes while silence is asked for costs nothing', async () => {
  const silence = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1.2' };
  const { call, sent, pass } = open([() => new Response('ok', { headers: silence })], {
    rate: parseRate('1/s'),
  });
  const all = [call(url), call(url)];
  await pass(1_200);
  await Promise.all(all);
  expect(sent).toEqual([0, 1_200]);
});

describe('the pace', () => {
  const refused = { isRefusal: true, pauseMs: 0, allowance: undefined };
  const fine = { ...refused, isRefusal: false };

  test('is halved once for those refused together, and comes back by a tenth each ten seconds', () => {
    const clock = new ManualClock(1_000);
    const pace = new Pace(planOf({ rate: parseRate('10/s'), clock }));
    for (let i = 0; i < 5; i++) pace.told(refused, 1_000);
    expect(pace.factor).toBe(0.5);
    clock.advance(1);
    pace.told(refused, 1_001);
    expect(pace.factor).toBe(0.25);
    for (let i = 0; i < 100; i++) pace.told(fine, 1_001);
    expect(pace.factor).toBe(0.25);
    for (let second = 0; second < 30; second++) {
      clock.advance(1_000);
      pace.told(fine, clock.now());
    }
    expect(pace.factor).toBeCloseTo(0.55);
    for (let second = 0; second < 90; second++) {
      clock.advance(1_000);
      pace.told(fine, clock.now());
    }
    expect(pace.factor).toBe(1);
  });

  test('never falls below a sixty-fourth', () => {
    const clock = new ManualClock();
    const pace = new Pace(planOf({ rate: parseRate('10/s'), clock }));
    for (let i = 0; i < 20; i++) {
      clock.advance(1);
      pace.told(refused, clock.now());
    }
    expect(pace.factor).toBe(1 / 64);
  });

  test('that was halved sends half as fast', async () => {
    const { call, sent, pass } = open([() => refusal({ 'retry-after': '1' })], { burst: 1 });
    const all = [1, 2, 3].map(() => call(url));
    await pass(5_000);
    await Promise.all(all);
    const after = sent.filter((ms) => ms >= 1_000);
    expect(after).toHaveLength(3);
    expect(after.map((ms) => ms - after[0]!)).toEqual([0, 200, 400]);
  });
});

describe('what it keeps', () => {
  test('is bounded: an origin is forgotten when that makes no difference, or a new one is not asked', async () => {
    const { call, pass } = open([() => refusal({ 'retry-after': '30' })], {
      maxKeys: 2,
      maxRetries: 0,
    });
    await call('https://a.example/');
    await call('https://b.example/');
    await expect(call('https://c.example/')).rejects.toMatchObject({ code: 'not_sent' });
    await pass(1_000);
    // b has its token back; a is paused.
    expect((await call('https://c.example/')).status).toBe(200);
    const paused = call('https://a.example/', { signal: AbortSignal.timeout(60_000) });
    await pass(28_000);
    await expect(Promise.race([paused, Promise.resolve('waits')])).resolves.toBe('waits');
    await pass(1_000);
    expect((await paused).status).toBe(200);
  });

  test('is not forgotten while an origin that refused nothing wants silence', async () => {
    const { call, pass } = open(
      [() => new Response('ok', { headers: { ratelimit: '"a";r=0;t=30' } })],
      { maxKeys: 1 },
    );
    await call('https://a.example/');
    await pass(29_000);
    await expect(call('https://b.example/')).rejects.toMatchObject({ code: 'not_sent' });
    await pass(1_000);
    expect((await call('https://b.example/')).status).toBe(200);
  });

  test('has no more paces than keys', async () => {
    const clock = new ManualClock();
    const paces = new Paces(planOf({ rate: parseRate('10/s'), clock, maxKeys: 10 }));
    for (let i = 0; i < 1_000; i++) expect(paces.of(`key ${i}`)).toBeDefined();
    expect(paces.size).toBe(10);
  });

  test('has no more waiting than it may', async () => {
    const { call, pass } = open([], { burst: 1, maxWaiting: 2 });
    const all = [1, 2, 3, 4].map(() => call(url).then(({ status }) => status));
    const settled = Promise.allSettled(all);
    await pass(1_000);
    expect((await settled).map(({ status }) => status).sort()).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    const later = [call(url), call(url)];
    await pass(1_000);
    expect(await Promise.all(later)).toHaveLength(2);
  });
});

describe('an abort', () => {
  test('ends the wait in line and costs nothing', async () => {
    const { call, clock, sent, pass } = open([], { burst: 1 });
    await call(url);
    const leaving = new AbortController();
    const left = call(url, { signal: leaving.signal });
    const stays = call(url);
    await pass(50);
    leaving.abort(new Error('enough'));
    await expect(left).rejects.toThrow('enough');
    await pass(100);
    await stays;
    expect(sent).toEqual([0, 100]);
    expect(clock.timers).toBe(0);
  });

  test('ends the pause, of a Request too, and stops its timer', async () => {
    const { call, clock, sent, pass } = open([() => refusal({ 'retry-after': '30' })]);
    const leaving = new AbortController();
    const left = call(new Request(url, { signal: leaving.signal }));
    await pass(50);
    expect(clock.timers).toBe(1);
    leaving.abort(new Error('enough'));
    await expect(left).rejects.toThrow('enough');
    expect(clock.timers).toBe(0);
    expect(sent).toHaveLength(1);
    await expect(call(url, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    );
  });
});

test('a fetch that fails is not tried again', async () => {
  const fails = vi.fn(() => Promise.reject(new TypeError('fetch failed')));
  const call = limitedFetch(fails, { rate: parseRate('10/s') });
  await expect(call(url)).rejects.toThrow('fetch failed');
  expect(fails).toHaveBeenCalledTimes(1);
});

test.each<[Partial<LimitedFetchOptions>, string]>([
  [{ rate: undefined as never }, 'no rate'],
  [{ rate: { count: 1, perMs: 0 } }, 'perMs is 0'],
  [{ burst: Number.POSITIVE_INFINITY }, 'burst is Infinity'],
])('a rate that no limit can have is refused before the first call: %o', (options, message) => {
  expect(() => limitedFetch(fetch, { rate: parseRate('1/s'), ...options })).toThrow(
    expect.objectContaining({ code: 'bad_limit', message: expect.stringContaining(message) }),
  );
});

test.each<[Partial<LimitedFetchOptions>, string]>([
  [{ rate: { count: 0, perMs: 1 } }, 'rate.count is 0'],
  [{ burst: 0.5 }, 'burst is 0.5'],
  [{ maxWaitMs: Number.NaN }, 'maxWaitMs is NaN'],
  [{ maxKeys: 0 }, 'maxKeys is 0'],
])('an option that cannot work is named: %o', (options, message) => {
  expect(() => limitedFetch(fetch, { rate: parseRate('1/s'), ...options })).toThrow(
    expect.objectContaining({ code: 'bad_option', message: expect.stringContaining(message) }),
  );
});

test('with the middleware on the other side every request comes through', async () => {
  const limit = { name: 'all', rate: parseRate('20/s'), burst: 5 };
  const limiter = new Limiter({ limits: [limit] });
  const handler = (_request: http.IncomingMessage, response: http.ServerResponse) =>
    response.end('ok');
  const server = http.createServer(rateLimit({ limiter, limits: [limit] }, handler));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const call = limitedFetch(fetch, { rate: parseRate('1000/s'), maxRetries: 5 });
    const all = Array.from({ length: 14 }, () => call(`http://127.0.0.1:${port}/`));
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    expect(statuses).toEqual(Array(14).fill(200));
    expect(limiter.counters()[0]!.allowed).toBe(14);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
