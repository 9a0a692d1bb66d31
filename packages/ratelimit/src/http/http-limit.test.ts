import { expect, test } from 'vitest';
import { type Limit, parseRate } from '../limit.js';
import { Limiter } from '../limiter.js';
import { OpenConnection } from './connection.js';
import type { Fields } from './fields.js';
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

test('the policy that is told is that of the limits as they are, also when they have changed', async () => {
  const limiter = new Limiter({ limits: [{ name: 'all', rate: parseRate('60/min') }] });
  const errors: unknown[] = [];
  let isBroken = false;
  const limits = (): readonly Limit[] => {
    if (isBroken) throw new Error('no limits');
    return limiter.limits;
  };
  const origin = { address: '192.0.2.1', field: () => undefined };
  const onError = (error: unknown): unknown => errors.push(error);
  const http = new HttpLimit({ limiter, limits, onError }, () => origin);
  const policy = async (): Promise<string | undefined> => {
    const { fields } = (await http.decide({}, new OpenConnection())) as { fields: Fields };
    return fields.find(([name]) => name === 'RateLimit-Policy')?.[1];
  };
  expect(await policy()).toBe('"all";q=60;w=60');
  limiter.setLimits([{ name: 'all', rate: parseRate('5/s') }]);
  expect(await policy()).toBe('"all";q=5;w=1');
  expect(errors).toEqual([]);
  isBroken = true;
  expect(await policy()).toBe('"all";q=5;w=1');
  expect(errors).toHaveLength(1);
});
