import { rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import {
  type CallRecord,
  callRecords,
  fixture,
  type Gate,
  startGate,
  toolCall,
  until,
} from '../mcp/gate.js';
import { type Desk, openDesk } from './desk.js';

/** A running `gatebook mcp` whose configuration changes. */

let desk: Desk;
let bench: Bench;
let gate: Gate;
beforeEach(async () => {
  desk = await openDesk();
  bench = await openBench();
});
afterEach(async () => {
  await end();
  await desk.remove();
  await bench.remove();
});

async function start(): Promise<void> {
  const words = Object.entries(desk.env).map(([name, value]) => `${name}=${value}`);
  const server = [process.execPath, fixture('tap-server.mjs'), join(desk.folder, 'tap')];
  gate = startGate(bench, server, { before: ['env', '-C', desk.cwd, ...words] });
  expect(await passes()).toBe(true);
}

async function end(): Promise<void> {
  gate.child.stdin.end();
  await gate.ended;
}

let calls = 0;
/** Whether a call of a tool is made. */
async function passes(): Promise<boolean> {
  const id = ++calls;
  gate.send(toolCall(id, 'echo'));
  const { result } = await gate.answer(id);
  return !(result?.content?.[0]?.text ?? '').startsWith('gatebook did not');
}

/** Puts a file in the place of the one before, as editors do. */
async function edit(file: string, text: string): Promise<void> {
  await writeFile(`${file}~`, text, { mode: 0o600 });
  await rename(`${file}~`, file);
}

async function said(text: string): Promise<void> {
  await until(() => gate.stderr().includes(text));
}

async function ended(type: string): Promise<CallRecord[]> {
  await end();
  return (await callRecords(bench)).filter((record) => record.event_type === type);
}

function limit(count: number, more = ''): string {
  return `[security.rate_limiting]\nenabled = true\ntool_executions_per_minute = ${count}\n[security.audit]\n${more}\n`;
}

it('goes by a change at once, and has it in the book', async () => {
  await desk.writeUser(limit(1));
  await start();
  expect(await passes()).toBe(false);
  await edit(desk.userFile, limit(1000));
  await said('the configuration has changed: security.rate_limiting.tool_executions_per_minute\n');
  expect([await passes(), await passes()]).toEqual([true, true]);
  const [change, ...more] = await ended('config_change');
  expect(more).toEqual([]);
  expect(change?.session_id).toMatch(/./);
  expect(change?.details).toEqual({
    changes: [
      {
        key: 'security.rate_limiting.tool_executions_per_minute',
        from: 1,
        to: 1000,
        origin: 'user',
        source: desk.userFile,
        in_force: 'now',
      },
    ],
  });
});

it('fills no bucket by a change to and fro', async () => {
  const daily = (burst: number): string =>
    `[security.rate_limiting]\nenabled = true\nlimits = { few = { rate = "2/day", burst = ${burst} } }\n`;
  await desk.writeUser(daily(2));
  await start();
  expect([await passes(), await passes()]).toEqual([true, false]);
  let changes = 0;
  const change = async (burst: number): Promise<void> => {
    changes++;
    await edit(desk.userFile, daily(burst));
    await until(() => gate.stderr().split('the configuration has changed').length > changes);
  };
  await change(3);
  expect([await passes(), await passes()]).toEqual([true, false]);
  await change(2);
  expect(await passes()).toBe(false);
  await change(3);
  expect(await passes()).toBe(false);
});

it('goes by a Cedar file that has changed, also by one that is mended', async () => {
  const cedar = join(dirname(desk.userFile), 'mine.cedar');
  const forbid = (tool: string): string =>
    `@id("no-${tool}")\nforbid (principal, action, resource)\nwhen { resource.name like "*${tool}" };\n`;
  await edit(cedar, forbid('other'));
  await desk.writeUser('[security.policy]\nfiles = ["mine.cedar"]\n');
  await start();
  await edit(cedar, forbid('echo'));
  await said('the configuration has changed: security.policy.files\n');
  expect(await passes()).toBe(false);
  await edit(cedar, 'forbid (principal,\n');
  await said('the configuration is not good, the one before stays');
  expect(await passes()).toBe(false);
  await edit(cedar, forbid('other'));
  await until(() => gate.stderr().split('the configuration has changed').length === 3);
  expect(await passes()).toBe(true);
  const changes = (await ended('config_change')).map(({ details }) => details?.['changes']);
  const files = [{ path: cedar, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }];
  expect(changes).toMatchObject([
    [{ key: 'security.policy.files', files, in_force: 'now' }],
    [{ key: 'security.policy.files', files, in_force: 'now' }],
  ]);
});

it('begins to go by a configuration that was not there', async () => {
  await start();
  await edit(desk.userFile, limit(0));
  await said('the configuration has changed');
  expect(await passes()).toBe(false);
});

it('keeps what was good when an edit is not, says so, and goes on with the next that is', async () => {
  await desk.writeUser(limit(1));
  await start();
  await edit(desk.userFile, `${limit(1000)}enabld = false\n`);
  await said(`${desk.userFile}:6:1: unknown key "enabld"`);
  await said('the one before stays');
  expect(await passes()).toBe(false);
  await edit(desk.userFile, limit(1000));
  await said('the configuration has changed');
  expect([await passes(), await passes()]).toEqual([true, true]);
});

it('shows nothing of a secret, and says what waits for the next start', async () => {
  await desk.writeUser(limit(9, 'anchor_commands = ["curl -H key:hunter1"]'));
  await start();
  await edit(desk.userFile, limit(9, 'anchor_commands = ["curl -H key:hunter2"]'));
  await said('security.audit.anchor_commands (at the next start)');
  const [change] = await ended('config_change');
  const changes = change?.details?.['changes'];
  expect(changes).toMatchObject([
    { from: '(not shown)', to: '(not shown)', in_force: 'at the next start' },
  ]);
  const ran = await bench.run(['audit', '--format', 'json']);
  expect(ran.stdout).not.toContain('hunter');
});

it('takes no looser limits from a project file until it is trusted', async () => {
  await desk.writeUser(limit(1));
  await start();
  const file = join(desk.cwd, 'gatebook.toml');
  await edit(file, '[security.rate_limiting]\ntool_executions_per_minute = 1000\n');
  await said(`ignored, because ${file} is not trusted`);
  expect(await passes()).toBe(false);
  expect((await desk.run(['config', 'trust', '--yes'])).code).toBe(0);
  await said('the configuration has changed');
  expect([await passes(), await passes()]).toEqual([true, true]);
  const [attempt, ...more] = await ended('security_event');
  expect(more).toEqual([]);
  expect(attempt?.security?.rule).toBe('config.untrusted');
});

it('has in the book that changes are not to be recorded any more', async () => {
  await desk.writeUser(limit(9));
  await start();
  await edit(desk.userFile, limit(9, 'log_config_changes = false'));
  await said('security.audit.log_config_changes');
  await edit(desk.userFile, limit(8, 'log_config_changes = false'));
  await said('tool_executions_per_minute');
  expect(await ended('config_change')).toHaveLength(1);
});
