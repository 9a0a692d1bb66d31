import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import { callRecords, fixture, type Gate, startGate, toolCall, until } from '../mcp/gate.js';
import { RedisServer } from '../ratelimit/redis-server.js';

/** Limits that are counted in Redis: gates over different logs, as on different hosts, have one set of buckets. */

let server: RedisServer;
let benches: Bench[];
let gates: Gate[] = [];

beforeEach(async () => {
  [server, ...benches] = await Promise.all([RedisServer.start(), openBench(), openBench()]);
});

afterEach(async () => {
  await end();
  await server.stop();
  for (const bench of benches) {
    if (existsSync(bench.log)) expect((await bench.run(['audit', 'verify'])).code).toBe(0);
    await bench.remove();
  }
});

async function end(): Promise<void> {
  for (const gate of gates) gate.child.stdin.end();
  await Promise.all(gates.map((gate) => gate.ended));
  gates = [];
}

function limits(perMinute: number, more: Readonly<Record<string, string>> = {}) {
  const keys = {
    ENABLED: 'true',
    PER_USER_LIMIT: 'false',
    REQUESTS_PER_MINUTE: String(perMinute),
    TOOL_EXECUTIONS_PER_MINUTE: '100000',
    REDIS_URL: server.url,
    ...more,
  };
  return Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [`GATEBOOK_SECURITY_RATE_LIMITING_${key}`, value]),
  );
}

function start(bench: Bench, env: Readonly<Record<string, string>>): Gate {
  const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const command = [process.execPath, fixture('tap-server.mjs'), join(bench.folder, 'tap')];
  const gate = startGate(bench, command, {
    before: ['env', ...words],
    options: ['--server', 'tap'],
  });
  gates.push(gate);
  return gate;
}

/** As an operator does once: a server that is new cannot tell what was used before. */
async function reset(env: Readonly<Record<string, string>>): Promise<void> {
  const ran = await benches[0]!.run(['limits', 'reset', '--yes'], { env });
  expect(ran.stderr).toContain('the limits in Redis (redis_url) are reset');
}

const twoADay = { LIMITS: '{ all = { rate = "2/day" } }' };

let lastId = 0;

async function call(gate: Gate, name = 'echo'): Promise<string | undefined> {
  const id = ++lastId;
  gate.send(toolCall(id, name, { id }));
  const { result } = await gate.answer(id);
  return result?.isError === true ? (result.content?.[0]?.text ?? '') : undefined;
}

/** How many of so many calls, made at once, were made. */
async function passed(gate: Gate, count: number): Promise<number> {
  const refusals = await Promise.all(Array.from({ length: count }, () => call(gate)));
  return refusals.filter((refusal) => refusal === undefined).length;
}

test('gates over two logs with a limit of 10 let 10 calls pass in all', async () => {
  // One comes back each six seconds, which is longer than this takes; were it not, it would be seen as one more.
  const env = limits(10);
  await reset(env);
  const four = [...benches, ...benches].map((bench) => start(bench, env));
  const since = performance.now();
  const made = await Promise.all(four.map((gate) => passed(gate, 8)));
  const cameBack = Math.ceil((performance.now() - since) / 6_000);
  const sum = made.reduce((all, each) => all + each);
  expect(sum).toBeGreaterThanOrEqual(10);
  expect(sum).toBeLessThanOrEqual(10 + cameBack);
  await end();
  const records = (await Promise.all(benches.map(callRecords))).flat();
  const hits = records.filter(({ event_type }) => event_type === 'rate_limit_hit');
  expect(hits).toHaveLength(32 - sum);
});

test('what was taken for a call that cannot be recorded is given back', async () => {
  const env = limits(1_000, twoADay);
  await reset(env);
  const gate = start(benches[0]!, env);
  expect(await call(gate)).toBeUndefined();
  const setWritable = (size: string): unknown =>
    execFileSync('prlimit', ['--pid', String(gate.child.pid), `--fsize=${size}`]);
  setWritable('0:unlimited');
  expect(await call(gate)).toContain('could not be recorded');
  setWritable('unlimited');
  // The log is tried again after a moment.
  await until(async () => (await call(gate)) === undefined);
  expect(await call(gate)).toContain('limit `all`');
});

test('a call that a person allows takes then, and a limit that is used up is said before anybody is asked', async () => {
  const env = {
    ...limits(1_000, twoADay),
    GATEBOOK_SECURITY_POLICY_ASK: '["tool:tap/echo"]',
    GATEBOOK_SECURITY_APPROVAL_TIMEOUT: '100ms',
  };
  await reset(env);
  const gate = start(benches[0]!, env);
  expect(await call(gate)).toContain('approval pending');
  expect(await call(gate, 'fail')).toBe('it failed on purpose');
  expect(await call(gate, 'fail')).toBe('it failed on purpose');
  expect(await call(gate)).toContain('limit `all`');
});

test('while the server is away no call passes; each is in the book, and calls pass again when it is back', async () => {
  const env = limits(60_000);
  await reset(env);
  const gate = start(benches[0]!, env);
  expect(await call(gate)).toBeUndefined();
  await server.kill();
  for (let tries = 0; tries < 5; tries++) {
    expect(await call(gate)).toContain('cannot be counted, for what counts it does not answer');
  }
  await until(() => gate.stderr().includes('redis_url) is away'));
  await server.restart();
  await until(async () => (await call(gate)) === undefined);
  await until(() => gate.stderr().includes('redis_url) answers again'));
  await end();
  const [bench] = benches;
  const hits = (await callRecords(bench!)).filter(
    ({ event_type }) => event_type === 'rate_limit_hit',
  );
  expect(hits.length).toBeGreaterThanOrEqual(5);
  expect(hits[0]?.details?.['limit_reason']).toBe('store');
});

test('the password of the server is in no record and in no message', async () => {
  const [bench] = benches;
  const env = limits(10, { REDIS_URL: 'redis://ann:sesame-3141@127.0.0.1:1/0' });
  const gate = start(bench!, env);
  expect(await call(gate)).toContain('cannot be counted');
  const open = {
    ...env,
    GATEBOOK_SECURITY_RATE_LIMITING_ON_STORE_FAILURE: 'allow',
    GATEBOOK_SECURITY_POLICY_ENABLED: 'false',
  };
  const inside = await bench!.run(['exec', '--', 'env'], { env: open });
  expect(inside.stdout).toContain('GATEBOOK_SECURITY_RATE_LIMITING_ENABLED=true');
  const shown = await bench!.run(['limits'], { env });
  expect(shown.stderr).toContain('the limits are counted in Redis (redis_url)');
  const reset = await bench!.run(['limits', 'reset', '--yes'], { env });
  expect(reset.code).toBe(1);
  const named = await bench!.run(['limits', 'reset', 'all', '--yes'], { env });
  expect(named.code).toBe(2);
  await end();
  const records = await bench!.run(['audit', '--format', 'json']);
  const all = [gate.stderr(), inside, shown, reset, named, records].map((each) =>
    JSON.stringify(each),
  );
  expect(all.join('')).not.toContain('sesame');
});

test('what is in flight, and quotas, are counted there too', async () => {
  const env = limits(100_000, {
    LIMITS:
      '{ one = { in_flight = 1 }, week = { quota = "5/week" }, some = { rolling = "3/30day" } }',
  });
  await reset(env);
  const [first, second] = benches.map((bench) => start(bench, env)) as [Gate, Gate];
  expect([await passed(first, 1), await passed(second, 1)]).toEqual([1, 1]);
  first.send(toolCall('slow', 'wait', { ms: 2_000 }));
  await until(() => readFileSync(join(benches[0]!.folder, 'tap'), 'utf8').includes('"slow"'));
  expect(await call(second)).toContain('limit `one`');
  await first.answer('slow');
  expect(await call(second)).toContain('limit `some`');
  await end();
});
