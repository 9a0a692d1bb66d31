import { once } from 'node:events';
import { connect } from 'node:net';
import autocannon from 'autocannon';
import { type Item, parseList } from 'structured-headers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RateLimitError } from '../errors.js';
import { type Limit, parseRate } from '../limit.js';
import { Limiter } from '../limiter.js';
import { ManualClock } from '../manual-clock.js';
import { type AdapterOptions, adapters, type Handler, type Served } from '../testing/adapters.js';
import type { Answer } from './request-limiter.js';

const open: Served[] = [];
afterEach(async () => {
  for (const served of open.splice(0)) await served.close();
});

/** As good as no refill while a test runs. */
const slow = { count: 1, perMs: 86_400_000 };
const byUser = (user: string | undefined) => ({ actor: user });
const held: Limit = { name: 'in flight', kind: 'concurrency', max: 2 };

function fieldOf(response: Response, name: string): [unknown, Record<string, unknown>][] {
  return parseList(response.headers.get(name)!).map((each) => {
    const [value, parameters] = each as Item;
    return [value, Object.fromEntries(parameters)];
  });
}

/** A handler that answers only when it is let. */
function holding(): { handler: Handler; calls: () => number; finish: () => void } {
  const finishers: (() => void)[] = [];
  let calls = 0;
  return {
    handler: () => {
      calls++;
      return new Promise((resolve) => finishers.push(() => resolve('ok')));
    },
    calls: () => calls,
    finish: () => {
      for (const finish of finishers.splice(0)) finish();
    },
  };
}

function inFlight(limiter: Limiter): number {
  return held.kind === 'concurrency' ? held.max - limiter.peek({}).remaining : 0;
}

describe.each(adapters)('$name', ({ listen }) => {
  async function start(
    options: AdapterOptions | readonly AdapterOptions[],
    handler: Handler = () => 'ok',
  ): Promise<Served> {
    const all = 'limiter' in options ? [options] : options;
    const served = await listen(all, handler);
    open.push(served);
    return served;
  }

  test('under load lets in exactly as many as the limit has, and calls the handler for no other', async () => {
    const limiter = new Limiter({ limits: [{ name: 'all', rate: slow, burst: 100 }] });
    let calls = 0;
    const { url } = await start({ limiter }, () => String(++calls));
    const load = await autocannon({ url, amount: 400, connections: 10 });
    expect(load.statusCodeStats).toEqual({ 200: { count: 100 }, 429: { count: 300 } });
    expect(load.errors).toBe(0);
    expect(calls).toBe(100);
  });

  test('under load counts each user alone', async () => {
    const limits: Limit[] = [{ name: 'user', scope: ['actor'], rate: slow, burst: 30 }];
    const limiter = new Limiter({ limits });
    const { url } = await start({ limiter, asks: byUser });
    const loads = ['ann', 'bob'].map((user) =>
      autocannon({ url, amount: 100, connections: 4, headers: { 'x-user': user } }),
    );
    for (const load of await Promise.all(loads)) {
      expect(load.statusCodeStats).toEqual({ 200: { count: 30 }, 429: { count: 70 } });
    }
  });

  test('under load never has more in its handler than permits, and has all of them back afterwards', async () => {
    const limiter = new Limiter({ limits: [held] });
    let now = 0;
    let most = 0;
    let calls = 0;
    const { url } = await start({ limiter }, async () => {
      calls++;
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 2));
      now--;
      return 'ok';
    });
    const load = await autocannon({ url, amount: 300, connections: 10 });
    expect(load['2xx'] + load['4xx']).toBe(300);
    expect(load['2xx']).toBe(calls);
    expect(most).toBe(2);
    await vi.waitFor(() => expect(inFlight(limiter)).toBe(0));
  });

  test('gives permits back when the load breaks off', async () => {
    const limiter = new Limiter({ limits: [held] });
    const { handler, calls } = holding();
    const { url } = await start({ limiter }, handler);
    let stop = (): void => {};
    const load = new Promise((resolve) => {
      const running = autocannon({ url, connections: 2, duration: 30 }, resolve);
      stop = () => running.stop?.();
    });
    await vi.waitFor(() => expect(calls()).toBe(2));
    expect((await fetch(url)).status).toBe(429);
    stop();
    await load;
    await vi.waitFor(() => expect(inFlight(limiter)).toBe(0));
  });

  test('gives permits back when requests in a pipeline are left, the one that has no turn yet too', async () => {
    const limiter = new Limiter({ limits: [held] });
    const { handler, calls } = holding();
    const { port } = await start({ limiter }, handler);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2));
    await vi.waitFor(() => expect(calls()).toBe(2));
    expect(inFlight(limiter)).toBe(2);
    socket.destroy();
    await vi.waitFor(() => expect(inFlight(limiter)).toBe(0));
  });

  test('holds a permit until the response has ended, and gives it back once', async () => {
    const release = vi.fn();
    const limiter = new Limiter({ limits: [held] });
    const counting = {
      take: () => {
        const answer = limiter.take({});
        if (!answer.allowed) return answer;
        return Object.assign(answer, { release });
      },
    };
    const { handler, calls, finish } = holding();
    const { url } = await start({ limiter: counting }, handler);
    const answer = fetch(url);
    await vi.waitFor(() => expect(calls()).toBe(1));
    expect(release).not.toHaveBeenCalled();
    finish();
    await (await answer).text();
    await vi.waitFor(() => expect(release).toHaveBeenCalled());
    await open.pop()!.close();
    expect(release).toHaveBeenCalledTimes(1);
  });

  test('tells the policies and what is left, in fields that parse', async () => {
    const limits: Limit[] = [
      { name: 'user', rate: parseRate('100/min') },
      { name: 'täglich "gut"', kind: 'quota', max: 500, period: { calendar: 'day' } },
      held,
    ];
    const limiter = new Limiter({ limits: limits.slice(0, 2), clock: new ManualClock() });
    const { url } = await start({ limiter, limits });
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('ratelimit-policy')).toMatch(/^"user";q=100;w=60, /);
    expect(fieldOf(response, 'ratelimit-policy')).toEqual([
      ['user', { q: 100, w: 60 }],
      ['t%c3%a4glich "gut"', { q: 500, w: 86_400 }],
      ['in flight', { q: 2, qu: 'concurrent-requests' }],
    ]);
    expect(fieldOf(response, 'ratelimit')).toEqual([['user', { r: 99, t: 1 }]]);
    expect(response.headers.has('retry-after')).toBe(false);
  });

  test('answers a refusal with the problem, and Retry-After that is not before t', async () => {
    const limits: Limit[] = [{ name: 'user', rate: { count: 1, perMs: 4_001 } }];
    const limiter = new Limiter({ limits, clock: new ManualClock() });
    const { url } = await start({ limiter, limits });
    const last = await fetch(url);
    expect(fieldOf(last, 'ratelimit')).toEqual([['user', { r: 0, t: 5 }]]);
    const refused = await fetch(url);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('ratelimit')).toBe('"user";r=0;t=5');
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(await refused.json()).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Quota Exceeded',
      status: 429,
      detail: 'The limit "user" is used up; try again in 5 s.',
      'violated-policies': ['user'],
    });
  });

  test('says nothing of a time after which what can never fit would fit', async () => {
    const limiter = new Limiter({ limits: [{ name: 'all', rate: slow, burst: 3 }] });
    const { url } = await start({ limiter, asks: () => ({ cost: 5 }) });
    const refused = await fetch(url);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('ratelimit')).toBe('"all";r=3');
    expect(refused.headers.has('retry-after')).toBe(false);
    expect(await refused.json()).toMatchObject({ detail: expect.stringContaining('never') });
  });

  test('with two middlewares tells of both in one list', async () => {
    const [a, b] = ['a', 'b'].map((name) => ({ name, rate: slow, burst: 9 }));
    const of = (limit: Limit): AdapterOptions => ({
      limits: [limit],
      limiter: new Limiter({ limits: [limit] }),
    });
    const { url } = await start([of(a!), of(b!)]);
    const response = await fetch(url);
    for (const name of ['ratelimit', 'ratelimit-policy']) {
      const names = fieldOf(response, name).map(([value]) => value);
      expect(names.sort()).toEqual(['a', 'b']);
    }
  });

  test('can be told to send no fields, to skip requests, and to answer otherwise', async () => {
    const limits: Limit[] = [{ name: 'all', rate: slow, burst: 1 }];
    const { url } = await start({
      limiter: new Limiter({ limits, clock: new ManualClock() }),
      limits,
      fields: false,
      skips: (user) => user === 'health',
      refuses: () => ({ status: 420, contentType: 'text/plain', body: 'calm' }),
    });
    const skipped = { headers: { 'x-user': 'health' } };
    for (let i = 0; i < 3; i++) expect((await fetch(url, skipped)).status).toBe(200);
    const first = await fetch(url);
    expect(first.status).toBe(200);
    expect([...first.headers.keys()].filter((name) => name.startsWith('ratelimit'))).toEqual([]);
    const refused = await fetch(url);
    expect(refused.status).toBe(420);
    expect(refused.headers.get('content-type')).toBe('text/plain');
    expect(refused.headers.get('retry-after')).toBe('86400');
    expect(await refused.text()).toBe('calm');
  });

  test('lets a request wait, which costs nothing when its client leaves', async () => {
    const clock = new ManualClock();
    const limiter = new Limiter({
      clock,
      limits: [{ name: 'all', rate: parseRate('1/s'), burst: 1 }],
    });
    const wait = vi.spyOn(limiter, 'wait');
    let calls = 0;
    const { url } = await start({ limiter, waitMs: 5_000 }, () => String(++calls));
    await fetch(url);
    const leaving = new AbortController();
    const left = fetch(url, { signal: leaving.signal });
    left.catch(() => {});
    await vi.waitFor(() => expect(wait).toHaveBeenCalledTimes(2));
    const staying = fetch(url);
    await vi.waitFor(() => expect(wait).toHaveBeenCalledTimes(3));
    leaving.abort();
    await expect(left).rejects.toThrow();
    await vi.waitFor(() => expect(wait.mock.settledResults[1]?.type).toBe('rejected'));
    clock.advance(1_000);
    expect(await (await staying).text()).toBe('2');
    const late = fetch(url);
    await vi.waitFor(() => expect(wait).toHaveBeenCalledTimes(4));
    clock.advance(1_000);
    expect(await (await late).text()).toBe('3');
    // One timer was enough for all of them, and none is left.
    expect(clock.timers).toBe(0);
  });

  test('gives back what a store grants to a client that has left, and does not call the handler', async () => {
    const release = vi.fn(() => Promise.resolve());
    let grant = (_answer: Answer): void => {};
    let calls = 0;
    let asked = 0;
    const limiter = {
      take: () => {
        asked++;
        return new Promise<Answer>((resolve) => {
          grant = resolve;
        });
      },
    };
    const { url } = await start({ limiter }, () => String(++calls));
    const leaving = new AbortController();
    const left = fetch(url, { signal: leaving.signal });
    left.catch(() => {});
    await vi.waitFor(() => expect(asked).toBe(1));
    leaving.abort();
    await expect(left).rejects.toThrow();
    // The server hears of it a little later.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const allowed = { by: 'x', remaining: 1, limit: 2, retryAfterMs: 0, resetMs: 0 };
    grant({ ...allowed, allowed: true, release });
    await vi.waitFor(() => expect(release).toHaveBeenCalledTimes(1));
    expect(calls).toBe(0);
  });

  test('answers 503 when the limiter fails, or lets in if it is told to, but never what is wrong itself', async () => {
    const onError = vi.fn();
    const away = { take: () => Promise.reject(new Error('the store is away')) };
    const denying = await start({ limiter: away, onError });
    const denied = await fetch(denying.url);
    expect(denied.status).toBe(503);
    expect(await denied.json()).toMatchObject({ type: 'about:blank', status: 503 });
    expect(onError).toHaveBeenCalledTimes(1);
    const allowing = await start({ limiter: away, onError, onFailure: 'allow' });
    expect((await fetch(allowing.url)).status).toBe(200);
    expect(onError).toHaveBeenCalledTimes(2);

    const evicting = { take: () => Promise.reject(new RateLimitError('bad_store', 'it evicts')) };
    const unfit = await start({ limiter: evicting, onError, onFailure: 'allow' });
    expect((await fetch(unfit.url)).status).toBe(503);
    expect(onError).toHaveBeenCalledTimes(3);

    const limiter = new Limiter({ limits: [{ name: 'all', rate: slow }] });
    const negative = () => ({ cost: -1 });
    const wrong = await start({ limiter, onError, onFailure: 'allow', asks: negative });
    expect((await fetch(wrong.url)).status).toBe(500);
    expect(onError.mock.lastCall![0]).toBeInstanceOf(RateLimitError);
    const throwing = (): never => {
      throw new Error('no such user');
    };
    const thrown = await start({ limiter, onError, onFailure: 'allow', asks: throwing });
    expect((await fetch(thrown.url)).status).toBe(500);
  });

  test('survives a store that is away when a permit is given back', async () => {
    const onError = vi.fn();
    const allowed = { by: 'x', remaining: 1, limit: 2, retryAfterMs: 0, resetMs: 0 };
    const release = () => Promise.reject(new Error('the store is away'));
    const limiter = { take: async (): Promise<Answer> => ({ ...allowed, allowed: true, release }) };
    const { url } = await start({ limiter, onError });
    expect((await fetch(url)).status).toBe(200);
    await vi.waitFor(() => expect(onError).toHaveBeenCalledTimes(1));
  });

  test('believes X-Forwarded-For only from a proxy it trusts', async () => {
    const limits: Limit[] = [{ name: 'client', scope: ['actor'], rate: slow, burst: 1 }];
    const from = (url: string, address: string) =>
      fetch(url, { headers: { 'x-forwarded-for': address } }).then(({ status }) => status);
    const open = await start({ limiter: new Limiter({ limits }) });
    expect(await from(open.url, '192.0.2.1')).toBe(200);
    expect(await from(open.url, '192.0.2.2')).toBe(429);
    const behind = await start({ limiter: new Limiter({ limits }), trustedProxies: ['127.0.0.1'] });
    expect(await from(behind.url, '192.0.2.1')).toBe(200);
    expect(await from(behind.url, '192.0.2.2')).toBe(200);
    expect(await from(behind.url, '198.51.100.1, 192.0.2.2')).toBe(429);
    expect(await from(behind.url, '2001:db8::1')).toBe(200);
    expect(await from(behind.url, '2001:db8::2')).toBe(429);
  });
});
