import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import type { Ran } from '../cli/gatebook.js';
import { fixture } from '../mcp/gate.js';
import { RedisServer } from '../ratelimit/redis-server.js';
import type { Desk } from './desk.js';
import { inTurn } from './gate-rows.js';
import type { Row } from './table.js';

/** The keys by which limits are counted in Redis, each shown on a server of its own. */

/** Nobody answers there. */
const away = 'redis://127.0.0.1:1';
const echo = ['exec', '--', 'echo', 'ran'];

async function limited(desk: Desk, text: string): Promise<void> {
  await desk.writeUser(`[security.rate_limiting]\nenabled = true\n${text}\n`);
}

/** What becomes of three calls over a new server that lets two pass, and which keys it has then. */
async function counted(desk: Desk, text: string): Promise<{ ran: Ran[]; keys: string[] }> {
  const server = await RedisServer.start();
  const client = new Redis(server.url);
  try {
    await limited(desk, `requests_per_minute = 2\nredis_url = "${server.url}/3"\n${text}`);
    const reset = await desk.run(['limits', 'reset', '--yes']);
    expect(reset.stderr).toContain('the limits in Redis (redis_url) are reset');
    const ran: Ran[] = [];
    for (let call = 0; call < 3; call++) ran.push(await desk.run(echo));
    await client.select(3);
    return { ran, keys: await client.keys('*#*') };
  } finally {
    client.disconnect();
    await server.stop();
  }
}

/** How many of five calls of one gate pass. */
async function passed(desk: Desk, text: string): Promise<number> {
  await limited(desk, text);
  const clientInfo = { name: 'c', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const calls = [2, 3, 4, 5, 6].map((id) => ({
    ...{ id, method: 'tools/call' },
    params: { name: 'echo', arguments: { id } },
  }));
  const lines = [{ id: 1, method: 'initialize', params }, ...calls].map((message) =>
    JSON.stringify({ jsonrpc: '2.0', ...message }),
  );
  const server = [process.execPath, fixture('tap-server.mjs'), join(desk.folder, 'tap')];
  const said = await inTurn(desk, ['mcp', '--', ...server], lines);
  return 5 - said.split('gatebook did not make this call').length + 1;
}

export const redisRows: readonly Row[] = [
  {
    name: 'security.rate_limiting.redis_url',
    usual: null,
    file: ['"redis://127.0.0.1:6379"', 'redis://127.0.0.1:6379'],
    env: ['rediss://u:p@[::1]:6380/1', 'rediss://u:p@[::1]:6380/1'],
    bad: '"http://127.0.0.1"',
    effect: async (desk) => {
      const { ran, keys } = await counted(desk, '');
      expect(ran.map(({ code }) => code)).toEqual([0, 0, 126]);
      expect(ran[2]!.stderr).toContain('limit `requests_per_minute`');
      expect(keys).toHaveLength(1);
      const [hit] = await desk.records(['--type', 'rate_limit_hit']);
      expect(hit?.security?.['rule']).toBe('limit.requests_per_minute');
    },
  },
  {
    name: 'security.rate_limiting.redis_prefix',
    usual: 'gatebook',
    file: ['"a"', 'a'],
    env: ['b', 'b'],
    bad: '"{a}"',
    effect: async (desk) => {
      const { keys } = await counted(desk, 'redis_prefix = "a?*"');
      expect(keys.map((key) => key.split('#')[0])).toEqual(['{a?*}:requests_per_min']);
    },
  },
  {
    name: 'security.rate_limiting.on_store_failure',
    usual: 'deny',
    file: ['"local"', 'local'],
    env: ['allow', 'allow'],
    bad: '"ask"',
    effect: async (desk) => {
      await limited(desk, `redis_url = "${away}"`);
      const denied = await desk.run(echo);
      expect(denied).toMatchObject({ code: 126, stdout: '' });
      expect(denied.stderr).toContain('cannot be counted, for what counts it does not answer');
      expect(denied.stderr).toMatch(/is away: ECONNREFUSED; until it is back no call passes\n/);
      await limited(desk, `redis_url = "${away}"\non_store_failure = "allow"`);
      const allowed = await desk.run(echo);
      expect(allowed).toMatchObject({ code: 0, stdout: 'ran\n' });
      expect(allowed.stderr).toContain('NO CALL IS LIMITED');
      expect((await desk.run(['doctor'])).stdout).toContain('enforced.on_store_failure');
    },
  },
  {
    name: 'security.rate_limiting.expected_processes',
    usual: 1,
    file: ['3', 3],
    env: ['4', 4],
    bad: '0',
    effect: async (desk) => {
      const text = `redis_url = "${away}"\non_store_failure = "local"\nrequests_per_minute = 4`;
      expect(await passed(desk, text)).toBe(4);
      expect(await passed(desk, `${text}\nexpected_processes = 2`)).toBe(2);
    },
  },
];
