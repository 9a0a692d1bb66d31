import { spawn } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, gatebookBin, openBench, segmentBytes } from '../cli/gatebook.js';
import {
  briefly,
  type CallRecord,
  callRecords,
  type Ended,
  fixture,
  startGate,
  until,
} from './gate.js';

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.remove());

interface Run {
  readonly ended: Promise<Ended & { readonly stdout: string }>;
  readonly kill: (signal: NodeJS.Signals) => void;
  stdout(): string;
}

function exec(
  command: readonly string[],
  options: readonly string[] = [],
  input = '',
  env: NodeJS.ProcessEnv = {},
): Run {
  const child = spawn(process.execPath, [gatebookBin, 'exec', ...options, '--', ...command], {
    env: { ...process.env, GATEBOOK_LOG: bench.log, GATEBOOK_KEYS: bench.keys, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = new Promise<Ended & { readonly stdout: string }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stderr, stdout }));
  });
  return { ended, kill: (signal) => child.kill(signal), stdout: () => stdout };
}

const status = [process.execPath, fixture('status-command.mjs')];

async function both(): Promise<[CallRecord, CallRecord]> {
  const records = await callRecords(bench);
  expect(briefly(records)[0]).toBe('intent');
  expect(records).toHaveLength(2);
  expect(records.every((record) => record.event_type === 'command_execution')).toBe(true);
  expect(records[0]?.call_id).toBe(records[1]?.call_id);
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  return [records[0]!, records[1]!];
}

test('a command has our stdio, and its words and its end are recorded', async () => {
  const run = exec([...status, '3', 'a b', "it's"], ['--user', 'u1', '--channel', 'ci'], 'input');
  const { code, stdout, stderr } = await run.ended;
  expect(code).toBe(3);
  expect(stdout).toBe('in:input args:["a b","it\'s"]\n');
  expect(stderr).toContain('err\n');
  const [intent, outcome] = await both();
  expect(intent).toMatchObject({ actor: { user_id: 'u1', channel: 'ci' }, source: 'node' });
  expect(intent.action?.command).toBe(`${status.join(' ')} 3 'a b' 'it'\\''s'`);
  expect(JSON.parse(String(intent.action?.arguments))).toEqual([...status, '3', 'a b', "it's"]);
  expect(outcome.result).toMatchObject({ success: false, exit_code: 3, status: 'error' });
});

test('a command that succeeds is recorded as that', async () => {
  expect((await exec([...status, '0']).ended).code).toBe(0);
  const [, outcome] = await both();
  expect(outcome.result).toMatchObject({ success: true, exit_code: 0, status: 'ok' });
});

test('a command that dies of a signal takes us with it', async () => {
  expect(await exec([...status, 'SIGTERM']).ended).toMatchObject({ code: null, signal: 'SIGTERM' });
  const [, outcome] = await both();
  expect(outcome.result).toMatchObject({ success: false, signal: 'SIGTERM' });
});

test('a signal to us reaches the command', async () => {
  const run = exec([
    process.execPath,
    '-e',
    "process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000); console.log('up')",
  ]);
  await until(() => run.stdout().includes('up'));
  run.kill('SIGTERM');
  expect(await run.ended).toMatchObject({ code: 7, signal: null });
});

test.each([
  ['SIGTERM', { code: null, signal: 'SIGTERM' }],
  ['SIGINT', { code: null, signal: 'SIGINT' }],
  ['SIGQUIT', { code: 131, signal: null }],
] as const)('%s while the intent is being written ends us, and nothing is run', async (name, end) => {
  const mark = join(bench.folder, 'mark');
  const touch = [process.execPath, '-e', `require('fs').writeFileSync('${mark}', 'x')`];
  const NODE_OPTIONS = `--require=${fixture('slow-disk.cjs')}`;
  const run = exec(touch, ['--limit', '1/d'], '', { NODE_OPTIONS });
  await until(async () => {
    const written = await segmentBytes(bench.log).catch(() => '');
    return written.includes('"phase":"intent"');
  });
  run.kill(name);
  const ended = await run.ended;
  expect(ended).toMatchObject(end);
  expect(ended.stderr).toContain(`not run: ${name} came before it was started`);
  await expect(readFile(mark)).rejects.toThrow();
  const [, outcome] = await both();
  expect(outcome.result).toMatchObject({ success: false, status: 'cancelled' });
  // What it took of the limit was given back.
  expect((await exec(touch, ['--limit', '1/d']).ended).code).toBe(0);
});

test('a command that cannot be started is recorded too', async () => {
  const { code, stderr } = await exec(['/no/such/command']).ended;
  expect(code).toBe(127);
  expect(stderr).toContain('cannot start /no/such/command');
  const [, outcome] = await both();
  expect(outcome.result).toMatchObject({ success: false, status: 'not_started' });
  expect((await exec([fixture('status-command.mjs')]).ended).code).toBe(126);
});

test('what cannot be recorded is not run', async () => {
  await bench.record([{ event_type: 'test.event' }]);
  const [segment] = await readdir(join(bench.log, 'segments'));
  await rm(join(bench.log, 'segments', segment!));
  const mark = join(bench.folder, 'mark');
  const touch = [process.execPath, '-e', `require('fs').writeFileSync('${mark}', 'x')`];
  const refused = await exec(touch).ended;
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('not run, because it cannot be recorded');
  await expect(readFile(mark)).rejects.toThrow();
  const allowed = await exec(touch, ['--on-log-failure', 'allow']).ended;
  expect(allowed.code).toBe(0);
  expect(allowed.stderr).toContain('PASS UNRECORDED');
  expect(await readFile(mark, 'utf8')).toBe('x');
});

test('a log that is held for a moment is waited for', async () => {
  const holder = startGate(bench, [process.execPath, fixture('tap-server.mjs')]);
  holder.send({ id: 1, method: 'ping' });
  await holder.answer(1);
  const run = exec([...status, '0']);
  setTimeout(() => holder.child.stdin.end(), 500);
  expect((await run.ended).code).toBe(0);
  await holder.ended;
});
