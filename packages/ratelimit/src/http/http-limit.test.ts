import { expect, test } from 'vitest';
import { Limiter } from '../limiter.js';
import { HttpLimit } from './http-limit.js';
import type { HttpLimitOptions } from './options.js';

test.each<[Partial<HttpLimitOptions<unknown>>, string]>([
  [{ waitMs: -1 }, 'waitMs is -1'],
  [{ waitMs: Number.NaN }, 'waitMs is NaN'],
  [{ waitMs: 1, limiter: { take: () => new Limiter({ limits: [] }).take({}) } }, 'has `wait`'],
  [{ onFailure: 'pass' as never }, 'onFailure is "pass"'],
])('an option that cannot work is named: %o', (options, message) => {
  const limiter = new Limiter({ limits: [] });
  const origin = { address: undefined, field: () => undefined };
  expect(() => new HttpLimit({ limiter, ...options }, () => origin)).toThrow(
    expect.objectContaining({ code: 'bad_option', message: expect.stringContaining(message) }),
  );
});
