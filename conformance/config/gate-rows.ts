import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Ran, start } from '../cli/gatebook.js';
import { fixture, until } from '../mcp/gate.js';
import type { Desk } from './desk.js';
import type { Row } from './table.js';

/** The keys by which the gate decides, each shown on commands that are run or not. */

const echo = ['exec', '--', 'echo', 'ran'];
const ran = { code: 0, stdout: 'ran\n' };
const refused = { code: 126, stdout: '' };

async function underPolicy(desk: Desk, text: string, args = echo): Promise<Ran> {
  await desk.writeUser(`[security.approval]\ntimeout = "100ms"\n[security.policy]\n${text}\n`);
  return await desk.run(args);
}

async function rules(desk: Desk, type: string): Promise<unknown[]> {
  return (await desk.records(['--type', type])).map(({ security }) => security?.['rule']);
}

/** Runs commands one after the other in one session; returns which were refused. */
async function inSession(
  desk: Desk,
  text: string,
  commands: readonly (readonly string[])[],
): Promise<boolean[]> {
  await desk.writeUser(`[security.runaway]\n${text}\n`);
  const refusals: boolean[] = [];
  for (const command of commands) {
    const { code } = await desk.run(['exec', '--session', 's', '--', ...command]);
    refusals.push(code === 126);
  }
  return refusals;
}

const same = ['echo', 'ran'];

/** What a client gets that lists the tools of a server with this description, and calls one. */
async function calledUnder(desk: Desk, text: string, description: string): Promise<string> {
  await desk.writeUser(`[security.approval]\ntimeout = "100ms"\n[security.policy]\n${text}\n`);
  const file = join(desk.folder, 'description');
  await writeFile(file, description);
  const clientInfo = { name: 'c', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const lines = [
    { id: 1, method: 'initialize', params },
    { id: 2, method: 'tools/list' },
    { id: 3, method: 'tools/call', params: { name: 'read', arguments: {} } },
  ].map((message) => JSON.stringify({ jsonrpc: '2.0', ...message }));
  const words = ['mcp', '--server', 'rug', '--', process.execPath, fixture('rug-server.mjs'), file];
  return await inTurn(desk, words, lines);
}

/** What a command says on stdout that gets each line when the one before is answered. */
export async function inTurn(
  desk: Desk,
  args: readonly string[],
  lines: readonly string[],
): Promise<string> {
  const child = start(args, { cwd: desk.cwd, env: desk.env });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr.resume();
  const ended = new Promise((resolve) => child.once('close', resolve));
  for (const [at, line] of lines.entries()) {
    child.stdin.write(`${line}\n`);
    await until(() => text.split('\n').length > at + 1);
  }
  child.stdin.end();
  await ended;
  return text;
}

/** Whether a client that can show forms was made to ask about a call. */
async function askedByClient(desk: Desk, elicitation: boolean): Promise<boolean> {
  const text = `timeout = "300ms"\nelicitation = ${elicitation}`;
  await desk.writeUser(`[security.approval]\n${text}\n[security.policy]\nask = ["tool:*"]\n`);
  const clientInfo = { name: 'c', version: '1' };
  const capabilities = { elicitation: {} };
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo };
  const lines = [
    { id: 1, method: 'initialize', params },
    { id: 2, method: 'tools/call', params: { name: 'echo', arguments: {} } },
  ].map((message) => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const server = [process.execPath, fixture('tap-server.mjs'), join(desk.folder, 'tap')];
  const talked = await desk.run(['mcp', '--', ...server], {}, lines.join(''));
  expect(talked.stdout).toContain('approval pending');
  return talked.stdout.includes('"elicitation/create"');
}

export const gateRows: readonly Row[] = [
  {
    name: 'security.policy.enabled',
    usual: true,
    file: ['false', false],
    env: ['true', true],
    bad: '"no"',
    effect: async (desk) => {
      expect(await underPolicy(desk, 'deny = ["exec:echo *"]')).toMatchObject(refused);
      const off = await underPolicy(desk, 'enabled = false\ndeny = ["exec:echo *"]');
      expect(off).toMatchObject(ran);
      expect(off.stderr).toContain('NOT ENFORCED, because the configuration says so: policy');
      const [intent] = await desk.records(['--type', 'command_execution']);
      expect(intent?.security?.['not_enforced']).toEqual(['policy']);
    },
  },
  {
    name: 'security.policy.deny',
    usual: [],
    file: ['["exec:rm *"]', ['exec:rm *']],
    env: ['["tool:db/*"]', ['tool:db/*']],
    bad: '"exec:rm *"',
    effect: async (desk) => {
      const denied = await underPolicy(desk, 'deny = ["exec:echo *"]');
      expect(denied).toMatchObject(refused);
      expect(denied.stderr).toContain('the policy denies it by `deny[0] exec:echo *`');
      expect(await rules(desk, 'policy_violation')).toEqual(['deny[0] exec:echo *']);
      expect(await desk.records(['--type', 'command_execution'])).toEqual([]);
      expect(await underPolicy(desk, 'deny = ["exec:rm *"]')).toMatchObject(ran);
      const wrong = await underPolicy(desk, 'deny = ["exec"]');
      expect(wrong.code).toBe(2);
      expect(wrong.stderr).toContain(`${desk.userFile}:4:1: security.policy.deny`);
    },
  },
  {
    name: 'security.policy.ask',
    usual: [],
    file: ['["exec:git push *"]', ['exec:git push *']],
    env: ['["write:a/**"]', ['write:a/**']],
    bad: '[1]',
    effect: async (desk) => {
      const asked = await underPolicy(desk, 'ask = ["exec:echo *"]');
      expect(asked).toMatchObject(refused);
      expect(asked.stderr).toMatch(/not run: approval pending [0-9a-f]+: /);
      expect(await rules(desk, 'gate.approval_requested')).toEqual(['ask[0] exec:echo *']);
    },
  },
  {
    name: 'security.policy.allow',
    usual: [],
    file: ['["exec:mytool *"]', ['exec:mytool *']],
    env: ['["tool:fs/read_*"]', ['tool:fs/read_*']],
    bad: '{}',
    effect: async (desk) => {
      expect(await underPolicy(desk, 'ask_at = "low"')).toMatchObject(refused);
      const allowed = 'ask_at = "low"\nallow = ["exec:echo *"]';
      expect(await underPolicy(desk, allowed)).toMatchObject(ran);
    },
  },
  {
    name: 'security.policy.ask_at',
    usual: 'high',
    file: ['"medium"', 'medium'],
    env: ['critical', 'critical'],
    bad: '"never"',
    effect: async (desk) => {
      const asked = await underPolicy(desk, 'ask_at = "low"');
      expect(asked.stderr).toContain('approval pending');
      expect(await underPolicy(desk, 'ask_at = "high"')).toMatchObject(ran);
    },
  },
  {
    name: 'security.policy.deny_at',
    usual: 'critical',
    file: ['"high"', 'high'],
    env: ['medium', 'medium'],
    bad: '4',
    effect: async (desk) => {
      const denied = await underPolicy(desk, 'deny_at = "low"');
      expect(denied).toMatchObject(refused);
      expect(denied.stderr).toContain('the policy denies it by');
    },
  },
  {
    name: 'security.policy.files',
    usual: [],
    file: ['["mine.cedar"]', ['./mine.cedar']],
    env: ['["/etc/gate.cedar"]', ['/etc/gate.cedar']],
    bad: '"mine.cedar"',
    effect: async (desk) => {
      const file = join(desk.folder, 'config', 'gatebook', 'mine.cedar');
      const when = 'when { context.programs.contains("echo") }';
      await writeFile(file, `@id("mine") forbid (principal, action, resource) ${when};`);
      const denied = await underPolicy(desk, 'files = ["mine.cedar"]');
      expect(denied).toMatchObject(refused);
      expect(denied.stderr).toContain('mine');
      const missing = await underPolicy(desk, 'files = ["other.cedar"]');
      expect(missing.code).toBe(2);
      expect(missing.stderr).toContain(`${desk.userFile}:4:1: security.policy.files`);
    },
  },
  {
    name: 'security.policy.on_tool_change',
    usual: 'ask',
    file: ['"block"', 'block'],
    env: ['record', 'record'],
    bad: '"allow"',
    effect: async (desk) => {
      await calledUnder(desk, 'on_tool_change = "ask"', 'as it was');
      expect(await calledUnder(desk, 'on_tool_change = "ask"', 'changed')).toContain(
        'approval pending',
      );
      expect(await calledUnder(desk, 'on_tool_change = "block"', 'changed')).toContain(
        'the policy denies it by `pin.changed`',
      );
      const passed = await calledUnder(desk, 'on_tool_change = "record"', 'changed');
      expect(passed).not.toContain('gatebook did not make this call');
      expect(await rules(desk, 'security_event')).toContain('pin.changed');
    },
  },
  {
    name: 'security.approval.timeout',
    usual: '45s',
    file: ['"10s"', '10s'],
    env: ['1m', '1m'],
    bad: '10',
    effect: async (desk) => {
      // Without it the call would wait for longer than a test may take.
      const asked = await underPolicy(desk, 'ask = ["exec:echo *"]');
      expect(asked.stderr).toContain('approval pending');
    },
  },
  {
    name: 'security.approval.elicitation',
    usual: true,
    file: ['false', false],
    env: ['true', true],
    bad: '"no"',
    effect: async (desk) => {
      expect(await askedByClient(desk, true)).toBe(true);
      expect(await askedByClient(desk, false)).toBe(false);
    },
  },
  {
    name: 'security.runaway.enabled',
    usual: true,
    file: ['false', false],
    env: ['true', true],
    bad: '1',
    effect: async (desk) => {
      const off = 'enabled = false\nidentical_calls = 1';
      expect(await inSession(desk, off, [same, same])).toEqual([false, false]);
    },
  },
  {
    name: 'security.runaway.identical_calls',
    usual: 50,
    file: ['10', 10],
    env: ['20', 20],
    bad: '0',
    effect: async (desk) => {
      const calls = [same, same, ['echo', 'other'], same, same, same];
      const refusals = await inSession(desk, 'identical_calls = 2', calls);
      expect(refusals).toEqual([false, false, false, false, false, true]);
      expect(await rules(desk, 'security_event')).toEqual(['breaker.identical_calls']);
    },
  },
  {
    name: 'security.runaway.failures',
    usual: 25,
    file: ['3', 3],
    env: ['4', 4],
    bad: '1.5',
    effect: async (desk) => {
      const fails = ['false'];
      const refusals = await inSession(desk, 'failures = 2', [fails, same, fails, fails, same]);
      expect(refusals).toEqual([false, false, false, false, true]);
      expect(await rules(desk, 'security_event')).toEqual(['breaker.failures']);
    },
  },
  {
    name: 'security.runaway.calls',
    usual: null,
    file: ['1000', 1000],
    env: ['2000', 2000],
    bad: '-1',
    effect: async (desk) => {
      const refusals = await inSession(desk, 'calls = 1', [same, ['echo', 'other']]);
      expect(refusals).toEqual([false, true]);
      expect(await rules(desk, 'security_event')).toEqual(['breaker.calls']);
    },
  },
  {
    name: 'security.runaway.wall_time',
    usual: null,
    file: ['"8h"', '8h'],
    env: ['1d', '1d'],
    bad: '"long"',
    effect: async (desk) => {
      const refusals = await inSession(desk, 'wall_time = "1ms"', [same, ['echo', 'other']]);
      expect(refusals).toEqual([false, true]);
      expect(await rules(desk, 'security_event')).toEqual(['breaker.wall_time']);
    },
  },
];
