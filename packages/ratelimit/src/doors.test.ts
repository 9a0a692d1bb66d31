import { readFileSync } from 'node:fs';
import * as root from '@gatebook/ratelimit';
import * as forExpress from '@gatebook/ratelimit/express';
import * as forFastify from '@gatebook/ratelimit/fastify';
import * as forFetch from '@gatebook/ratelimit/fetch';
import * as forHono from '@gatebook/ratelimit/hono';
import * as core from '@gatebook/ratelimit/http';
import * as forNode from '@gatebook/ratelimit/node-http';
import { expect, test } from 'vitest';

test('each door of the package opens, onto its own things and those it shares', () => {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { exports } = JSON.parse(text) as { exports: Record<string, unknown> };
  const doors = ['express', 'fastify', 'fetch', 'hono', 'http', 'node-http'];
  expect(Object.keys(exports)).toEqual(expect.arrayContaining(doors.map((door) => `./${door}`)));
  for (const door of [forExpress, forFastify, forHono, forNode]) {
    expect(Object.keys(door)).toEqual(['rateLimit']);
  }
  expect(Object.keys(forFetch)).toEqual(['limitedFetch']);
  expect(Object.keys(core)).toContain('HttpLimit');
  // An error thrown behind one door is known at the other.
  expect(() => core.clientKeys({ ipv6Prefix: 0 })).toThrow(root.RateLimitError);
});
