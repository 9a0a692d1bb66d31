import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import {
  briefly,
  callRecords,
  fixture,
  initialize,
  isRunning,
  startGate,
  toolCall,
  until,
} from './gate.js';

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.remove());

const tapServer = [process.execPath, fixture('tap-server.mjs')];
const script = (code: string): string[] => [process.execPath, '-e', code];

async function verified(): Promise<void> {
  expect(await bench.run(['audit', 'verify'])).toMatchObject({ code: 0 });
}

describe('the end of the server', () => {
  test.each([0, 3, 255])('its exit code %i is ours', async (code) => {
    const gate = startGate(bench, script(`process.exit(${code})`));
    expect(await gate.ended).toMatchObject({ code, signal: null });
    await verified();
  });

  test.each(['SIGTERM', 'SIGKILL', 'SIGHUP'])('its signal %s is ours', async (signal) => {
    const gate = startGate(bench, script(`process.kill(process.pid, '${signal}')`));
    expect(await gate.ended).toMatchObject({ code: null, signal });
    await verified();
  });

  test('of a signal that would dump our memory only the number is passed on', async () => {
    const gate = startGate(bench, script("process.kill(process.pid, 'SIGABRT')"));
    expect(await gate.ended).toMatchObject({ code: 134, signal: null });
  });

  test('a server that cannot be started ends as in a shell', async () => {
    const missing = await startGate(bench, ['/no/such/server']).ended;
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain('/no/such/server');
    expect((await startGate(bench, [fixture('tap-server.mjs')]).ended).code).toBe(126);
    await verified();
  });

  test('calls without an answer are said to have died with it', async () => {
    const gate = startGate(bench, tapServer);
    gate.send(toolCall(1, 'silent'));
    gate.send(toolCall(2, 'die', { code: 9 }));
    expect(await gate.ended).toMatchObject({ code: 9 });
    const records = await callRecords(bench);
    expect(briefly(records)).toEqual([
      'intent silent',
      'intent die',
      'outcome silent server_died',
      'outcome die server_died',
    ]);
    expect(records[2]?.result?.error).toContain('exit code 9');
    await verified();
  });

  test('so are those of a server that was killed', async () => {
    const gate = startGate(bench, tapServer);
    gate.send(toolCall(1, 'die', { signal: 'SIGKILL' }));
    expect(await gate.ended).toMatchObject({ signal: 'SIGKILL' });
    const records = await callRecords(bench);
    expect(briefly(records)).toEqual(['intent die', 'outcome die server_died']);
    expect(records[1]?.result?.error).toContain('SIGKILL');
    await verified();
  });

  test('so are those of a server that only closes its output', async () => {
    const gate = startGate(
      bench,
      script("process.stdin.once('data', () => require('fs').closeSync(1)).resume()"),
    );
    gate.send(toolCall(1, 'x'));
    expect(await gate.ended).toMatchObject({ code: 0 });
    expect(briefly(await callRecords(bench))).toEqual(['intent x', 'outcome x server_died']);
  });

  test('what it left running in its group is ended, also when it holds the output open', async () => {
    const pidFile = join(bench.folder, 'pid');
    const gate = startGate(bench, [process.execPath, fixture('forking-server.mjs'), pidFile]);
    expect(await gate.ended).toMatchObject({ code: 5 });
    const pid = Number(await readFile(pidFile, 'utf8'));
    await until(async () => !(await isRunning(pid)));
  });
});

describe('the end of the client', () => {
  test('its closing reaches the server, and all that was asked is answered first', async () => {
    const gate = startGate(bench, tapServer);
    gate.send(toolCall(1, 'wait', { ms: 700 }));
    gate.child.stdin.end();
    expect(await gate.ended).toMatchObject({ code: 0 });
    expect(gate.messages()).toMatchObject([{ id: 1 }]);
    expect(briefly(await callRecords(bench))).toEqual(['intent wait', 'outcome wait ok']);
  });

  test('a server that ends neither by that nor by SIGTERM is killed with all it started', async () => {
    const pidFile = join(bench.folder, 'pids');
    const gate = startGate(bench, [process.execPath, fixture('stubborn-server.mjs'), pidFile]);
    await until(() => gate.output().length > 0);
    gate.child.kill('SIGTERM');
    expect(await gate.ended).toMatchObject({ signal: 'SIGKILL' });
    for (const pid of (await readFile(pidFile, 'utf8')).split(' ')) {
      await until(async () => !(await isRunning(Number(pid))));
    }
    await verified();
  });

  test('an output that nobody reads any more ends the server too', async () => {
    const gate = startGate(bench, tapServer);
    gate.send(initialize);
    await gate.answer('init');
    gate.child.stdout.destroy();
    gate.send(toolCall(1, 'echo'));
    gate.send(toolCall(2, 'echo'));
    expect((await gate.ended).signal).toBeNull();
    const records = await callRecords(bench);
    expect(records.filter((record) => record.action?.phase === 'intent').length).toBeGreaterThan(0);
    await verified();
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s reaches the server', async (signal) => {
    const gate = startGate(
      bench,
      script(
        `process.on('${signal}', () => process.exit(42)); setInterval(() => {}, 1000); console.log('{}')`,
      ),
    );
    await until(() => gate.output().length > 0);
    gate.child.kill(signal);
    expect(await gate.ended).toMatchObject({ code: 42 });
    await verified();
  });

  test('when the gate itself is killed, the server sees its input end, and the log opens again', async () => {
    const gate = startGate(bench, [
      process.execPath,
      '-e',
      'process.stdin.resume(); console.log(JSON.stringify({ pid: process.pid }))',
    ]);
    await until(() => gate.output().length > 0);
    gate.send(toolCall(1, 'x'));
    await until(async () => (await callRecords(bench)).length === 1);
    gate.child.kill('SIGKILL');
    await gate.ended;
    const { pid } = JSON.parse(gate.output().toString()) as { pid: number };
    await until(async () => !(await isRunning(pid)));
    const next = startGate(bench, tapServer);
    next.send(toolCall(1, 'echo'));
    await next.answer(1);
    next.child.stdin.end();
    expect((await next.ended).code).toBe(0);
    expect(briefly(await callRecords(bench))).toEqual([
      'intent x',
      'outcome x unknown',
      'intent echo',
      'outcome echo ok',
    ]);
    await verified();
  });
});

test('the stderr of the server is ours, and one line says that forward security is off', async () => {
  const gate = startGate(bench, tapServer);
  gate.child.stdin.end();
  const { stderr } = await gate.ended;
  expect(stderr).toContain('tap: ready\n');
  const notices = stderr.split('\n').filter((line) => line.includes('forward security off'));
  expect(notices).toEqual([
    `gatebook: forward security off: move ${join(bench.keys, 'initial-hmac-key')} off this host`,
  ]);
});
