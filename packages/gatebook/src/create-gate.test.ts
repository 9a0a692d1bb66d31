import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLines } from '@gatebook/audit';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createGate, type ProgramGate } from './create-gate.js';
import { GateError } from './gate/errors.js';

let folder: string;
let gate: ProgramGate;
const told: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatebook-gate-'));
});

afterEach(async () => {
  await gate.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the gate under a project's configuration that makes things stricter. */
async function open(config = ''): Promise<void> {
  writeFileSync(join(folder, 'gatebook.toml'), config);
  const log = { dir: join(folder, 'log'), keysDir: join(folder, 'keys') };
  const report = (line: string): void => void told.push(line);
  const actor = { userId: 'ada' };
  gate = await createGate({ cwd: folder, log, actor, session: 's', report });
}

async function records(): Promise<string[]> {
  await gate.close();
  const found: string[] = [];
  for await (const { line } of readLines(join(folder, 'log'))) {
    const record = JSON.parse(line.toString()) as Readonly<Record<string, unknown>> & {
      action?: { phase?: string; tool?: string };
      result?: { status?: string };
      event_type: string;
    };
    if (record.event_type.startsWith('log.')) continue;
    const words = [record.event_type, record.action?.phase, record.action?.tool];
    found.push([...words, record.result?.status].filter((word) => word !== undefined).join(' '));
  }
  return found;
}

async function refusal(calling: Promise<unknown>): Promise<GateError> {
  try {
    await calling;
  } catch (error) {
    if (error instanceof GateError) return error;
    throw error;
  }
  throw new Error('it was let through');
}

test('a function goes through the gate, and is recorded before and after', async () => {
  await open();
  const search = gate.tool('search', ({ q }: { q: string }) => [q.length]);
  expect(await search({ q: 'abc' })).toEqual([3]);
  const fails = gate.tool('fails', () => {
    throw new Error('no such thing');
  });
  await expect(fails({})).rejects.toThrow('no such thing');
  expect(await records()).toEqual([
    'tool_execution intent search',
    'tool_execution outcome search ok',
    'tool_execution intent fails',
    'tool_execution outcome fails error',
  ]);
});

test('what a project’s file is not trusted with is ignored, told and recorded', async () => {
  told.length = 0;
  await open('[security.policy]\nenabled = false\ndeny = ["tool:drop_*"]\n');
  expect(await refusal(gate.tool('drop_table', () => true)({}))).toMatchObject({ code: 'denied' });
  const file = join(folder, 'gatebook.toml');
  expect(told).toEqual([
    `gatebook: ignored, because ${file} is not trusted (look at it, then: gatebook config trust): security.policy.enabled`,
  ]);
  expect(await records()).toEqual([
    'security_event refused',
    'policy_violation drop_table refused',
  ]);
});

test('what the policy denies is not run, and says by which rule', async () => {
  await open('[security.policy]\ndeny = ["tool:drop_*"]\n');
  let ran = false;
  const drop = gate.tool('drop_table', () => {
    ran = true;
  });
  expect(await refusal(drop({}))).toMatchObject({
    code: 'denied',
    rule: 'deny[0] tool:drop_*',
    retryAfterMs: undefined,
  });
  expect(ran).toBe(false);
  expect(await records()).toEqual(['policy_violation drop_table refused']);
});

test('what a limit refuses says when to come back', async () => {
  await open('[security.rate_limiting]\nenabled = true\ntool_executions_per_minute = 1\n');
  const search = gate.tool('search', () => 1);
  await search({});
  const refused = await refusal(search({}));
  expect(refused).toMatchObject({ code: 'rate_limited', rule: 'limit.tool_executions_per_minute' });
  expect(refused.retryAfterMs).toBeGreaterThan(1_000);
});

test('a configuration that changes is taken over with a record, and a bad one is not', async () => {
  const deny = (tool: string): string => `[security.policy]\ndeny = ["tool:${tool}"]\n`;
  await open(deny('other'));
  const search = gate.tool('search', () => 'found');
  expect(await search({})).toBe('found');
  const change = async (config: string, line: string): Promise<void> => {
    writeFileSync(join(folder, 'gatebook.toml'), config);
    await vi.waitFor(() => expect(told.join('\n')).toContain(line), { timeout: 20_000 });
  };
  await change(
    `${deny('other').slice(0, -2)}, "tool:search"]\n`,
    'the configuration has changed: security.policy.deny',
  );
  expect(await refusal(search({}))).toMatchObject({ code: 'denied', rule: 'deny[1] tool:search' });
  await change('[security.policy]\ndeny = 3\n', 'the configuration is not good');
  expect(await refusal(search({}))).toMatchObject({ code: 'denied' });
  expect(await records()).toEqual([
    'tool_execution intent search',
    'tool_execution outcome search ok',
    'config_change',
    'policy_violation search refused',
    'policy_violation search refused',
  ]);
});

test('arguments that JSON does not say are refused, and recorded', async () => {
  await open();
  let runs = 0;
  const remove = gate.tool('remove', (_: unknown) => void runs++);
  const hidden = await refusal(remove(new Map([['path', '/etc']])));
  expect(hidden.code).toBe('bad_arguments');
  expect(hidden.message).toContain('arguments is an object of the class Map');
  const asked = { tool: 'remove', arguments: { count: Number.NaN } };
  const inexact = await refusal(gate.call(asked, () => void runs++));
  expect(inexact.message).toContain('arguments.count is NaN');
  expect(runs).toBe(0);
  expect(await records()).toEqual([
    'policy_violation remove refused',
    'policy_violation remove refused',
  ]);
});

test('a tool is given what was judged, whatever became of it meanwhile', async () => {
  await open();
  const read = gate.tool('read', ({ path }: { path: string }) => path);
  const args = { path: 'a.txt' };
  const reading = read(args);
  args.path = '/etc/shadow';
  expect(await reading).toBe('a.txt');
});

test('what is given up before it is made is never made', async () => {
  await open();
  let ran = false;
  const calling = gate.call({ tool: 'search', signal: AbortSignal.abort('no') }, () => {
    ran = true;
  });
  expect((await refusal(calling)).code).toBe('cancelled');
  expect(ran).toBe(false);
});

test('a gate that is closed lets nothing through', async () => {
  await open();
  await gate.auth('login', { userId: 'ada' }, { by: 'key' });
  await gate.configChange({ key: 'limit', to: 5 });
  await gate.close();
  expect((await refusal(gate.call({ tool: 'x' }, () => 1))).code).toBe('closed');
  expect(await records()).toEqual(['auth_login', 'config_change']);
});
