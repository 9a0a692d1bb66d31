import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onAbort } from './abort-listeners.js';
import { Limiter } from './index.js';

test('calls each once, in order, and none that ended before, be it by another', () => {
  const control = new AbortController();
  const called: string[] = [];
  onAbort(control.signal, () => {
    called.push('first');
    third();
  });
  const second = onAbort(control.signal, () => called.push('second'));
  const third = onAbort(control.signal, () => called.push('third'));
  onAbort(control.signal, () => called.push('fourth'));
  second();
  control.abort();
  control.abort();
  expect(called).toEqual(['first', 'fourth']);
});

test('without a signal nothing is ever called', () => {
  onAbort(undefined, () => expect.unreachable())();
});

test('a thousand who wait with one signal are one listener, and all give up', async () => {
  const limiter = new Limiter({ limits: [{ name: 'a', rate: { count: 1, perMs: 60_000 } }] });
  limiter.take({});
  const control = new AbortController();
  const waits = Array.from({ length: 1_000 }, () => limiter.wait({}, { signal: control.signal }));
  expect(getEventListeners(control.signal, 'abort')).toHaveLength(1);
  control.abort(new Error('enough'));
  const ended = await Promise.allSettled(waits);
  expect(ended.every((each) => each.status === 'rejected')).toBe(true);
  expect(limiter.peek({}).reason).toBe('limit');
});
