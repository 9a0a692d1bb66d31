import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { Limiter } from '../limiter.js';
import { rateLimit } from './rate-limit.js';

/** Hono without a Node server under it. */
function open(body: () => Response): { app: Hono; free: () => number } {
  const limiter = new Limiter({ limits: [{ name: 'a', kind: 'concurrency', max: 2 }] });
  const app = new Hono();
  app.use(rateLimit({ limiter, addressOf: () => '192.0.2.1' }));
  app.get('/', body);
  return { app, free: () => limiter.peek({}).remaining };
}

test('without a Node server a permit is held until the body has been read', async () => {
  const { app, free } = open(() => new Response('hello', { headers: { 'x-own': 'kept' } }));
  const response = await app.request('/');
  expect(free()).toBe(1);
  expect(response.headers.get('x-own')).toBe('kept');
  expect(await response.text()).toBe('hello');
  expect(free()).toBe(2);
});

test('or given up, or there is none, or its source fails, or the handler does', async () => {
  const endless = open(
    () => new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1)) })),
  );
  const response = await endless.app.request('/');
  expect(endless.free()).toBe(1);
  await response.body!.cancel();
  expect(endless.free()).toBe(2);

  const empty = open(() => new Response(null, { status: 204 }));
  await empty.app.request('/');
  expect(empty.free()).toBe(2);

  const failing = open(() => new Response(new ReadableStream({ pull: (c) => c.error('gone') })));
  await expect((await failing.app.request('/')).text()).rejects.toBe('gone');
  expect(failing.free()).toBe(2);

  const throwing = open(() => {
    throw new Error('handler');
  });
  throwing.app.onError(() => new Response(null, { status: 500 }));
  expect((await throwing.app.request('/')).status).toBe(500);
  expect(throwing.free()).toBe(2);
});

test('or its client has gone, and one that is gone already calls no handler', async () => {
  let calls = 0;
  const { app, free } = open(() => new Response(`call ${++calls}`));
  const leaving = new AbortController();
  await app.request('/', { signal: leaving.signal });
  expect(free()).toBe(1);
  leaving.abort();
  expect(free()).toBe(2);
  expect((await app.request('/', { signal: AbortSignal.abort() })).status).toBe(499);
  expect(calls).toBe(1);
  expect(free()).toBe(2);
});
