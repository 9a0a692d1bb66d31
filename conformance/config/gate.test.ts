import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import { callRecords, fixture, type Gate, startGate, toolCall } from '../mcp/gate.js';
import { type Desk, openDesk } from './desk.js';

/** `gatebook mcp` under a configuration. */

let desk: Desk;
let bench: Bench;
let gate: Gate | undefined;
beforeEach(async () => {
  desk = await openDesk();
  bench = await openBench();
});
afterEach(async () => {
  await end();
  await desk.remove();
  await bench.remove();
});

function start(...options: string[]): Gate {
  const words = Object.entries(desk.env).map(([name, value]) => `${name}=${value}`);
  const server = [process.execPath, fixture('tap-server.mjs'), join(desk.folder, 'tap')];
  gate = startGate(bench, server, { options, before: ['env', '-C', desk.cwd, ...words] });
  return gate;
}

async function end(): Promise<void> {
  gate?.child.stdin.end();
  await gate?.ended;
  gate = undefined;
}

it('leaves out what is switched off, and calls pass all the same', async () => {
  await desk.writeUser('[security.audit]\nlog_tool_executions = false\n');
  start().send(toolCall(1, 'echo'));
  gate!.send({ id: 2, method: 'resources/read', params: { uri: 'file:///x' } });
  expect((await gate!.answer(1)).result?.isError).not.toBe(true);
  await gate!.answer(2);
  await end();
  const types = (await callRecords(bench)).map((record) => record.event_type);
  expect(types).toEqual(['file_access', 'file_access']);
});

it('records nothing where the log is off, and says so', async () => {
  await desk.writeUser('[security.audit]\nenabled = false\n');
  start().send(toolCall(1, 'echo'));
  await gate!.answer(1);
  expect(gate!.stderr()).toContain('NOTHING IS RECORDED');
  await end();
  expect((await bench.run(['audit'])).stderr).toContain('there is no log');
});

it('starts no server under a wrong configuration', async () => {
  await desk.writeUser('[security.audit]\nenabled = 1\nrotat = 2\n');
  const { code, stderr } = await start().ended;
  expect(code).toBe(2);
  expect(stderr.split('\n').filter((line) => line.startsWith('gatebook: /'))).toHaveLength(2);
});

it('starts no server where nobody could say what a limit is', async () => {
  const wrong = {
    none: 'scope = ["actor"]',
    both: 'rate = "1/s", quota = "1/day"',
    burst: 'in_flight = 1, burst = 2',
    zone: 'rate = "1/s", zone = "UTC"',
    rolling: 'rolling = "1/30day"',
    requests_per_minute: 'rate = "1/s"',
  };
  const limits = Object.entries(wrong).map(([name, words]) => `${name} = { ${words} }`);
  await desk.writeUser(
    `[security.rate_limiting]\nenabled = true\nlimits = { ${limits.join(', ')} }\n`,
  );
  const { code, stderr } = await start().ended;
  expect(code).toBe(2);
  const told = stderr
    .split('\n')
    .filter((line) => line.startsWith(`gatebook: ${desk.userFile}:3:`));
  expect(told.map((line) => line.replace(/^.*has a limit (named )?/, ''))).toEqual([
    'none without rate, in_flight, quota, rolling: say one of them',
    'both with rate and quota: leave one out',
    'burst with burst, which is only of a rate',
    'zone with zone, which is only of a quota',
    'rolling with rolling, which is counted in Redis only: set redis_url, or take quota',
    "requests_per_minute, which is a key's name",
  ]);
});

it('refuses what is beyond the limits, unless options say otherwise', async () => {
  await desk.writeUser(
    '[security.rate_limiting]\nenabled = true\ntool_executions_per_minute = 1\n',
  );
  start('--user', 'ann').send(toolCall(1, 'echo'));
  gate!.send(toolCall(2, 'echo'));
  gate!.send({ id: 3, method: 'resources/read', params: { uri: 'file:///x' } });
  expect((await gate!.answer(1)).result?.isError).not.toBe(true);
  expect((await gate!.answer(2)).result?.content?.[0]?.text).toContain(
    'tool_executions_per_minute',
  );
  await gate!.answer(3);
  await end();
  const hits = (await callRecords(bench)).filter((each) => each.event_type === 'rate_limit_hit');
  expect(hits.map((hit) => hit.security?.rule)).toEqual(['limit.tool_executions_per_minute']);
  start('--user', 'ann', '--limit', '5/min').send(toolCall(1, 'echo'));
  gate!.send(toolCall(2, 'echo'));
  expect((await gate!.answer(2)).result?.isError).not.toBe(true);
});
