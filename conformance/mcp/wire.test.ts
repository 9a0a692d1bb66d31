import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import {
  briefly,
  type CallRecord,
  callRecords,
  fixture,
  type Gate,
  initialize,
  startGate,
  toolCall,
} from './gate.js';

let bench: Bench;
let tap: string;
let gate: Gate;
beforeEach(async () => {
  bench = await openBench();
  tap = join(bench.folder, 'tap');
  gate = startGate(bench, [process.execPath, fixture('tap-server.mjs'), tap]);
});
afterEach(async () => {
  gate.child.stdin.end();
  await gate.ended;
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  await bench.remove();
});

async function records(): Promise<CallRecord[]> {
  gate.child.stdin.end();
  expect((await gate.ended).code).toBe(0);
  return await callRecords(bench);
}

test('what the server reads is what the client wrote, to the byte', async () => {
  const lines = [
    '{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
    ' { "id" : 2 ,\t"method":"tools/call","jsonrpc":"2.0","params":{"arguments":{"x":1.50e3,"y":"\\u00e9é\u2028"},"name":"echo"} }\r\n',
    '{"jsonrpc":"2.0","method":"notifications/made-up","params":[1,2]}\n',
    '{"jsonrpc":"2.0","id":"three","method":"made/up","params":{"deep":[[[{"__proto__":null}]]]}}\n',
    '{"jsonrpc":"2.0","id":99,"result":{"roots":[]}}\n',
  ];
  gate.send(lines.join(''));
  await gate.answer('three');
  expect(await readFile(tap, 'utf8')).toBe(lines.join(''));
});

test('an intent and an outcome for every call, linked, with what was said', async () => {
  gate.send(initialize);
  await gate.answer('init');
  gate.send({ method: 'notifications/initialized' });
  const raw = '{ "n": 12345678901234567890, "s":"\\ud800", "__proto__": {"x": 1}, "e": 1e400 }';
  gate.send(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${raw}}}\n`,
  );
  gate.send(toolCall(2, 'fail'));
  gate.send(toolCall(3, 'error'));
  gate.send({ id: 4, method: 'resources/read', params: { uri: 'note://1' } });
  gate.send({ id: 5, method: 'prompts/get', params: { name: 'greet', arguments: { a: 'b' } } });
  for (const id of [1, 2, 3, 4, 5]) await gate.answer(id);
  const found = await records();
  const intents = found.filter((record) => record.action?.phase === 'intent');
  const outcomes = found.filter((record) => record.action?.phase === 'outcome');
  expect(intents).toHaveLength(5);
  expect(outcomes).toHaveLength(5);
  for (const intent of intents) {
    const outcome = outcomes.find((record) => record.call_id === intent.call_id);
    expect(outcome?.seq).toBeGreaterThan(intent.seq);
    expect(outcome?.event_type).toBe(intent.event_type);
    expect(outcome?.result?.duration_ms).toBeGreaterThanOrEqual(0);
    expect(intent).toMatchObject({ source: 'tap', actor: { agent: 'raw-client' } });
    expect(intent.session_id).toBe(found[0]?.session_id);
  }
  expect(intents[0]?.action?.arguments).toBe(raw);
  const result = (id: string): CallRecord['result'] =>
    outcomes.find((record) => record.details?.['jsonrpc_id'] === id)?.result;
  expect(result('1')).toMatchObject({ success: true, status: 'ok' });
  expect(result('2')).toMatchObject({
    success: false,
    status: 'error',
    error: 'it failed on purpose',
    output: '{"content":[{"type":"text","text":"it failed on purpose"}],"isError":true}',
  });
  expect(result('3')).toMatchObject({ success: false, error: '-32602: no such thing' });
  expect(intents.map((record) => record.event_type)).toEqual([
    'tool_execution',
    'tool_execution',
    'tool_execution',
    'file_access',
    'mcp.prompt_get',
  ]);
});

test('ten megabytes of U+0001 pass both ways and are recorded', async () => {
  // Policies ask about arguments that are too long for them.
  gate.child.stdin.end();
  await gate.ended;
  const before = ['env', 'GATEBOOK_SECURITY_POLICY_ENABLED=false'];
  gate = startGate(bench, [process.execPath, fixture('tap-server.mjs'), tap], { before });
  const escaped = '\\u0001'.repeat(Math.floor((10 * 1024 * 1024 - 200) / 6));
  gate.send(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"silent","arguments":{"x":"${escaped}"}}}\n`,
  );
  // Ten million characters in the result are sixty megabytes on the wire.
  gate.send(toolCall(2, 'big', { n: 1_000_000 }));
  gate.send(toolCall(3, 'big', { n: 10_000_000 }));
  const big = await gate.answer(2);
  expect(big.result?.content?.[0]?.text).toHaveLength(1_000_000);
  expect((await gate.answer(3)).result?.content?.[0]?.text).toHaveLength(10_000_000);
  expect(gate.output().length).toBeGreaterThan(60_000_000);
  expect((await readFile(tap)).length).toBeGreaterThan(10_000_000);
  const found = await records();
  const args = found.find((record) => record.details?.['jsonrpc_id'] === '1')?.action?.arguments;
  expect(args).toMatchObject({ bytes: escaped.length + 8, ref: expect.stringMatching(/^cnt_/) });
  const outcomes = found.filter((record) => record.action?.phase === 'outcome');
  expect(outcomes.map((record) => [record.details?.['jsonrpc_id'], record.result?.status])).toEqual(
    [
      ['2', 'ok'],
      ['3', 'ok'],
      ['1', 'server_died'],
    ],
  );
  expect(outcomes[0]?.result?.output).toMatchObject({ bytes: expect.any(Number) });
  expect(outcomes[1]?.details).toMatchObject({ answer_bytes: expect.any(Number) });
}, 120_000);

test('what could be read in two ways does not reach the server, and is recorded', async () => {
  const refused: (string | Buffer)[] = [
    'no JSON\n',
    '[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n',
    '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"echo"}}\n',
    '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"echo"}}\n',
    '{"jsonrpc":"2.0","id":1,"method":"ping",\r"params":{}}\n',
    '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}\n',
    Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xff"}\n', 'latin1'),
    `${'x'.repeat(11 * 1024 * 1024)}\n`,
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${'['.repeat(100_000)}\n`,
  ];
  for (const line of refused) gate.send(line);
  gate.send({ id: 'last', method: 'ping' });
  await gate.answer('last');
  const errors = gate.messages().filter((message) => message.error !== undefined);
  expect(errors).toHaveLength(refused.length);
  expect(errors.every((message) => [-32700, -32600].includes(message.error!.code))).toBe(true);
  expect(await readFile(tap, 'utf8')).toBe('{"jsonrpc":"2.0","id":"last","method":"ping"}\n');
  const found = await records();
  expect(found.map((record) => record.event_type)).toEqual(refused.map(() => 'security_event'));
  expect(found.every((record) => record.security?.rule === 'mcp.client_line')).toBe(true);
});

test('an unfinished last line does not reach the server', async () => {
  gate.send('{"jsonrpc":"2.0","id":1,"method":"ping"}\n');
  gate.send('{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo"}}');
  const found = await records();
  expect(await readFile(tap, 'utf8')).toBe('{"jsonrpc":"2.0","id":1,"method":"ping"}\n');
  expect(briefly(found)).toEqual(['security_event refused']);
});

test('parallel calls are told apart, and answered out of order', async () => {
  gate.send(toolCall(1, 'wait', { ms: 3_000 }));
  for (let id = 2; id <= 101; id++) gate.send(toolCall(id, 'echo', { id }));
  await gate.answer(101);
  expect(gate.messages().some((message) => message.id === 1)).toBe(false);
  await gate.answer(1);
  const found = await records();
  expect(found).toHaveLength(202);
  const calls = new Map<string, string[]>();
  for (const record of found) {
    const phases = calls.get(record.call_id!) ?? [];
    calls.set(record.call_id!, [
      ...phases,
      `${record.action?.phase} ${record.details?.['jsonrpc_id']}`,
    ]);
  }
  expect(calls.size).toBe(101);
  for (const phases of calls.values()) {
    const id = phases[0]?.split(' ')[1];
    expect(phases).toEqual([`intent ${id}`, `outcome ${id}`]);
  }
  expect(found.at(-1)?.details).toMatchObject({ jsonrpc_id: '1' });
});

test('progress and noise pass in their order', async () => {
  gate.send({
    id: 1,
    method: 'tools/call',
    params: { name: 'progress', _meta: { progressToken: 'p' } },
  });
  gate.send(toolCall(2, 'noise'));
  await gate.answer(2);
  const lines = gate.output().toString().trimEnd().split('\n');
  expect(
    lines.map((line) => (line.startsWith('{') ? (JSON.parse(line).method ?? 'answer') : line)),
  ).toEqual([
    'notifications/progress',
    'notifications/progress',
    'notifications/progress',
    'answer',
    'this is no JSON',
    'answer',
  ]);
});

test('a cancelled call ends as cancelled, and its late answer is noted', async () => {
  gate.send(toolCall(1, 'wait', { ms: 3_000 }));
  gate.send(toolCall(2, 'silent'));
  await vi.waitFor(async () => expect(await readFile(tap, 'utf8')).toContain('"silent"'), {
    timeout: 20_000,
  });
  gate.send({ method: 'notifications/cancelled', params: { requestId: 1, reason: 'too slow' } });
  gate.send({ method: 'notifications/cancelled', params: { requestId: 2 } });
  await gate.answer(1);
  expect(await readFile(tap, 'utf8')).toContain('notifications/cancelled');
  const found = await records();
  expect(briefly(found)).toEqual([
    'intent wait',
    'intent silent',
    'outcome wait cancelled',
    'outcome silent cancelled',
    'mcp.late_answer wait ok',
  ]);
  expect(found[2]?.result).toMatchObject({ success: false, error: 'too slow' });
  expect(found[4]?.call_id).toBe(found[0]?.call_id);
});

test('an id in use is refused, so that no answer is taken for another', async () => {
  gate.send(toolCall(1, 'silent'));
  gate.send(toolCall('1', 'echo'));
  gate.send({ id: 'last', method: 'ping' });
  await gate.answer('last');
  expect(gate.messages().map((message) => message.id)).toEqual([null, 'last']);
  expect(await readFile(tap, 'utf8')).not.toContain('"echo"');
});

test('an answer under the id as text belongs to the call', async () => {
  gate.send(toolCall(7, 'sign'));
  await gate.answer('7');
  expect(briefly(await records())).toEqual(['intent sign', 'outcome sign ok']);
});
