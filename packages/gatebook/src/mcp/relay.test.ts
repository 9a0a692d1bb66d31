import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { lineBytesMax, pendingCallsMax, queueLinesMax, unexpectedMax } from './bounds.js';
import { fixtureRelay, until } from './fixture-relay.js';

const toolCall = (id: number, args = '{}'): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t","arguments":${args}}}\n`;
const result = (id: number): string => `{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}\n`;

test('a call is forwarded, byte for byte, only when its intent is on disk', async () => {
  const relay = await fixtureRelay();
  relay.book.hold();
  const line = ` {"jsonrpc":"2.0",\t"id":1,"method":"tools/call","params":{"name":"t"}}\r\n`;
  relay.clientOut.write(line);
  await sleep(20);
  expect(relay.atServer()).toBe('');
  relay.book.release();
  await until(() => relay.atServer() === line);
  expect(relay.book.events).toHaveLength(1);
});

test('lines keep their order, and what follows a call waits for it', async () => {
  const relay = await fixtureRelay();
  relay.book.hold();
  const ping = '{"jsonrpc":"2.0","id":9,"method":"ping"}\n';
  relay.clientOut.write(toolCall(1) + ping + toolCall(2));
  await sleep(20);
  expect(relay.atServer()).toBe('');
  relay.book.release();
  await until(() => relay.atServer() === toolCall(1) + ping + toolCall(2));
});

test('every byte of the server passes: noise, CRLF, bad UTF-8, long lines, an unfinished end', async () => {
  const relay = await fixtureRelay();
  const bytes = Buffer.concat([
    Buffer.from('noise\n\n\r\n{"jsonrpc":"2.0","method":"notifications/progress"}\n'),
    Buffer.from([0xff, 0xfe, 0x00, 0x0a]),
    Buffer.alloc(lineBytesMax + 5, 0x61),
    Buffer.from('\n[1,2]\nunfinished'),
  ]);
  const got: Buffer[] = [];
  relay.clientIn.on('data', (chunk: Buffer) => got.push(chunk));
  relay.serverOut.end(bytes);
  await relay.serverDone;
  await until(() => Buffer.concat(got).length >= bytes.length);
  expect(Buffer.concat(got).equals(bytes)).toBe(true);
  expect(relay.book.events).toEqual([]);
});

test('an outcome is recorded for a result of more than the bound', async () => {
  const relay = await fixtureRelay();
  relay.clientIn.resume();
  relay.clientOut.write(toolCall(1));
  await until(() => relay.atServer() !== '');
  relay.serverOut.write('{"result":{"content":[{"type":"text","text":"');
  for (let i = 0; i < 6; i++) relay.serverOut.write('\\u0001'.repeat(500_000));
  relay.serverOut.write('"}],"isError":true},"jsonrpc":"2.0","id":1}\n');
  await until(() => relay.book.events.length === 2);
  expect(relay.book.events[1]).toMatchObject({
    result: { success: false, status: 'error' },
    details: { answer_fault: expect.stringContaining('too long') },
  });
});

test('what is refused is answered, recorded and not forwarded', async () => {
  const relay = await fixtureRelay();
  relay.clientOut.write(
    '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"a","Name":"b"}}\n',
  );
  await until(() => relay.atClient() !== '');
  expect(JSON.parse(relay.atClient())).toMatchObject({
    jsonrpc: '2.0',
    id: 3,
    error: { code: -32600 },
  });
  expect(relay.atServer()).toBe('');
  expect(relay.book.events).toMatchObject([
    { eventType: 'security_event', security: { rule: 'mcp.client_line', policyViolation: true } },
  ]);
});

test('a line over the bound is refused once, without being held, and the next line is read', async () => {
  const relay = await fixtureRelay();
  const chunk = Buffer.alloc(1024 * 1024, 0x61);
  for (let i = 0; i < 12; i++) relay.clientOut.write(chunk);
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n';
  relay.clientOut.write(`\n${ping}`);
  await until(() => relay.atServer() === ping);
  expect(relay.book.events).toHaveLength(1);
  expect(relay.book.events[0]?.details).toMatchObject({ line_bytes: 12 * 1024 * 1024 + 1 });
  expect(JSON.parse(relay.atClient())).toMatchObject({ id: null, error: { code: -32600 } });
});

test('an unfinished last line is not forwarded', async () => {
  const relay = await fixtureRelay();
  relay.clientOut.end(toolCall(1).trimEnd());
  await relay.clientDone;
  expect(relay.atServer()).toBe('');
  expect(relay.book.events).toMatchObject([{ eventType: 'security_event' }]);
  expect(JSON.parse(relay.atClient())).toMatchObject({ id: null, error: { code: -32700 } });
});

test('an id in use is refused without being echoed, also for a call to another method', async () => {
  const relay = await fixtureRelay();
  relay.clientOut.write(toolCall(1));
  relay.clientOut.write('{"jsonrpc":"2.0","id":"1","method":"tools/list"}\n');
  relay.clientOut.write('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}\n');
  await until(() => relay.atClient().split('\n').length === 3);
  for (const line of relay.atClient().trimEnd().split('\n')) {
    expect(JSON.parse(line)).toMatchObject({ id: null, error: { code: -32600 } });
  }
  expect(relay.atServer()).toBe(toolCall(1));
  expect(relay.book.events.map((event) => event.security?.rule)).toEqual([
    undefined,
    'mcp.id_in_use',
    'mcp.client_line',
  ]);
  relay.serverOut.write(result(1));
  await until(() => relay.book.events.length === 4);
  relay.clientOut.write(toolCall(1));
  await until(() => relay.atServer() === toolCall(1) + toolCall(1));
});

test('a call that cannot be recorded is answered with a tool error that says so', async () => {
  const relay = await fixtureRelay();
  relay.book.failWith = 'write_failed';
  relay.clientOut.write(toolCall(1));
  relay.clientOut.write(
    '{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"a:b"}}\n',
  );
  relay.clientOut.write('{"jsonrpc":"2.0","id":3,"method":"tools/list"}\n');
  await until(() => relay.atServer() !== '');
  expect(relay.atServer()).toContain('tools/list');
  expect(relay.atServer()).not.toContain('tools/call');
  const [tool, read] = relay
    .atClient()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(tool).toMatchObject({ id: 1, result: { isError: true } });
  expect(tool.result.content[0].text).toContain('could not be recorded');
  expect(tool.result.content[0].text).toContain('write_failed');
  expect(read).toMatchObject({ id: 2, error: { code: -32010 } });
  relay.book.failWith = undefined;
  relay.clientOut.write(toolCall(1));
  await until(() => relay.atServer().includes('tools/call'));
});

test("by the operator's choice a call that cannot be recorded passes", async () => {
  const relay = await fixtureRelay({ onLogFailure: 'allow' });
  relay.book.failWith = 'write_failed';
  relay.clientOut.write(toolCall(1));
  await until(() => relay.atServer() === toolCall(1));
  relay.book.failWith = undefined;
  relay.serverOut.write(result(1));
  await until(() => relay.book.events.length === 1);
  expect(relay.book.events[0]).toMatchObject({
    action: { phase: 'outcome' },
    security: { notEnforced: ['audit'] },
    details: { unrecorded_before: 1 },
  });
});

test('a cancellation is recorded in its turn, and the late answer still passes', async () => {
  const relay = await fixtureRelay();
  const cancel =
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"no"}}\n';
  relay.clientOut.write(toolCall(1));
  await until(() => relay.atServer() === toolCall(1));
  relay.clientOut.write(cancel);
  await until(() => relay.atServer() === toolCall(1) + cancel);
  relay.serverOut.write(result(1));
  await until(() => relay.atClient() === result(1));
  await relay.outcomes.settled();
  expect(relay.book.events.map((event) => [event.eventType, event.result?.status])).toEqual([
    ['tool_execution', undefined],
    ['tool_execution', 'cancelled'],
    ['mcp.late_answer', 'ok'],
  ]);
});

test('what is cancelled before it is forwarded is not made, and the server hears of neither', async () => {
  const relay = await fixtureRelay();
  relay.book.hold();
  const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n';
  relay.clientOut.write(toolCall(1) + cancel + toolCall(2));
  await sleep(20);
  relay.book.release();
  await until(() => relay.atServer() === toolCall(2));
  expect(relay.atClient()).toContain('"id":1');
  await relay.outcomes.settled();
  const told = relay.book.events.map(({ callId, action, result }) => [
    callId === relay.book.events[0]!.callId,
    action?.phase,
    result?.status,
  ]);
  expect(told).toHaveLength(3);
  expect(told).toEqual(
    expect.arrayContaining([
      [true, 'intent', undefined],
      [false, 'intent', undefined],
      [true, 'outcome', 'cancelled'],
    ]),
  );
});

test('what is cancelled while the lines before it wait for the server to read is not made', async () => {
  const rate = { count: 3, perMs: 3_600_000 };
  const relay = await fixtureRelay({ limited: { limits: [{ name: 'all', rate }] } });
  const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}\n';
  const before = toolCall(1, `"${'x'.repeat(100_000)}"`);
  relay.clientOut.write(before + toolCall(2));
  await until(() => relay.book.events.length === 2 && relay.serverIn.writableNeedDrain);
  relay.clientOut.write(cancel);
  await sleep(20);
  await until(() => relay.atServer() === before && relay.atClient() !== '');
  expect(JSON.parse(relay.atClient())).toMatchObject({ id: 2, result: { isError: true } });
  await relay.outcomes.settled();
  expect(relay.book.events.slice(2)).toMatchObject([
    { callId: relay.book.events[1]!.callId, result: { status: 'cancelled' } },
  ]);
  // What it took of the limit was given back.
  relay.clientOut.write(toolCall(3) + toolCall(4) + toolCall(5));
  await until(() => relay.atClient().includes('limit `all` (3 at once) is used up'));
  expect(relay.atServer()).toBe(before + toolCall(3) + toolCall(4));
});

test('what is cancelled while a refusal before it waits for the client to read is not made', async () => {
  const relay = await fixtureRelay();
  const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}\n';
  relay.clientIn.write('x'.repeat(100_000));
  relay.clientOut.write(`[]\n${toolCall(2)}`);
  await until(() => relay.book.events.length === 2);
  await sleep(20);
  expect(relay.atServer()).toBe('');
  relay.clientOut.write(cancel);
  await sleep(20);
  await until(() => relay.atClient().includes('"id":2'));
  await relay.outcomes.settled();
  expect(relay.atServer()).toBe('');
  expect(relay.book.events.at(-1)).toMatchObject({ result: { status: 'cancelled' } });
});

test('a call whose intent is being written when the server dies costs no limit, and is answered', async () => {
  const rate = { count: 1, perMs: 3_600_000 };
  const relay = await fixtureRelay({ limited: { limits: [{ name: 'all', rate }] } });
  relay.book.hold();
  relay.clientOut.write(toolCall(1));
  await until(() => relay.calls.open === 1);
  await sleep(20);
  expect(relay.calls.abandon('the server ended')).toEqual([]);
  relay.book.release();
  await until(() => relay.atClient() !== '');
  expect(JSON.parse(relay.atClient())).toMatchObject({ id: 1, result: { isError: true } });
  expect(relay.atClient()).toContain('the server ended');
  await relay.outcomes.settled();
  expect(relay.book.events).toMatchObject([
    { action: { phase: 'intent' } },
    { action: { phase: 'outcome' }, result: { status: 'server_died', error: 'the server ended' } },
  ]);
  // As if there were another one.
  relay.clientOut.write(toolCall(2));
  await until(() => relay.atServer() === toolCall(2));
});

test('a call that comes when the server takes none any more is not made, and costs no limit', async () => {
  const rate = { count: 1, perMs: 3_600_000 };
  const relay = await fixtureRelay({ limited: { limits: [{ name: 'all', rate }] } });
  relay.serverIn.end();
  relay.clientOut.write(toolCall(1));
  await until(() => relay.atClient() !== '');
  expect(relay.atClient()).toContain('the server takes no calls any more');
  relay.clientOut.write(toolCall(2));
  await until(() => relay.atClient().includes('"id":2'));
  expect(relay.atClient()).not.toContain('limit `all`');
  await relay.outcomes.settled();
  expect(relay.book.events.map(({ result }) => result?.status)).toEqual([
    ...[undefined, 'server_died'],
    ...[undefined, 'server_died'],
  ]);
});

test('an approval of a call is none of one whose numbers only look the same to a double', async () => {
  const policy = {
    decide: () => ({ decision: 'ask', risk: 'high', rule: 'r', asks: ['r'], reasons: [] }) as const,
  };
  const relay = await fixtureRelay({ rules: { policy: policy as never, approvalMs: 50 } });
  relay.clientOut.write(toolCall(1, '{"n":9007199254740993}'));
  await until(() => relay.atClient().includes('approval pending'));
  const asked = relay.book.events.find(({ eventType }) => eventType === 'gate.approval_requested');
  const verdict = { approved: true, reach: 'once', by: 'ann', how: 'command' } as const;
  await relay.state.ask('decide', { id: String(asked?.details?.['approval']), verdict });
  relay.clientOut.write(toolCall(2, '{"n":9007199254740992}'));
  await until(() => /"id":2,.*approval pending/.test(relay.atClient()));
  expect(relay.atServer()).toBe('');
  relay.clientOut.write(toolCall(3, '{ "n" : 9007199254740993 }'));
  await until(() => relay.atServer() === toolCall(3, '{ "n" : 9007199254740993 }'));
});

test('an answer nobody asked for passes and is recorded, but not without end', async () => {
  const relay = await fixtureRelay();
  relay.clientIn.resume();
  for (let i = 0; i < unexpectedMax + 20; i++) relay.serverOut.write(result(i));
  relay.serverOut.end();
  await relay.serverDone;
  await relay.outcomes.settled();
  expect(relay.book.events).toHaveLength(unexpectedMax);
  expect(relay.book.events[0]).toMatchObject({ security: { rule: 'mcp.unexpected_answer' } });
});

test('our own lines never stand inside a line of the server', async () => {
  const relay = await fixtureRelay();
  const long = Buffer.alloc(lineBytesMax + 1, 0x62);
  let got = '';
  relay.clientIn.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
  });
  relay.serverOut.write(long);
  await until(() => got.length > lineBytesMax);
  relay.clientOut.write('not JSON\n');
  await sleep(20);
  expect(got).not.toContain('error');
  relay.serverOut.write('bb\nnext\n');
  await until(() => got.endsWith('next\n'));
  const [first, second, third] = got.split('\n');
  expect(first).toHaveLength(lineBytesMax + 3);
  expect(JSON.parse(second!)).toMatchObject({ error: { code: -32700 } });
  expect(third).toBe('next');
});

test('only so many calls may wait for an answer', async () => {
  const relay = await fixtureRelay();
  relay.serverIn.resume();
  for (let id = 0; id <= pendingCallsMax; id++) relay.clientOut.write(toolCall(id));
  await until(() => relay.atClient() !== '');
  expect(JSON.parse(relay.atClient())).toMatchObject({
    id: pendingCallsMax,
    result: { isError: true },
  });
  expect(relay.calls.open).toBe(pendingCallsMax);
});

test('a server that does not read stops the reading of the client', async () => {
  const relay = await fixtureRelay();
  const ping = (id: number): string =>
    `{"jsonrpc":"2.0","id":${id},"method":"x","params":{"p":"${'y'.repeat(10_000)}"}}\n`;
  let id = 0;
  while (relay.clientOut.write(ping(id))) id++;
  for (let i = 0; i < 10 * queueLinesMax; i++) relay.clientOut.write(ping(++id));
  await sleep(100);
  expect(relay.clientOut.writableLength).toBeGreaterThan(queueLinesMax * 10_000);
  relay.serverIn.resume();
  await until(() => relay.clientOut.writableLength === 0);
});

test('a client that does not read stops the reading of the server', async () => {
  const relay = await fixtureRelay();
  const noise = Buffer.from(`${'z'.repeat(10_000)}\n`);
  for (let i = 0; i < 500; i++) relay.serverOut.write(noise);
  await sleep(100);
  expect(relay.serverOut.writableLength).toBeGreaterThan(4_000_000);
  relay.clientIn.resume();
  await until(() => relay.serverOut.writableLength === 0);
});

test('a call that the log refuses costs no limit anything', async () => {
  const rate = { count: 2, perMs: 3_600_000 };
  const relay = await fixtureRelay({ limited: { limits: [{ name: 'all', rate }] } });
  relay.book.failWith = 'too_large';
  relay.clientOut.write(toolCall(1) + toolCall(2));
  await until(() => relay.atClient().split('\n').length === 3);
  expect(relay.atClient()).not.toContain('limit `all`');
  relay.book.failWith = undefined;
  relay.clientOut.write(toolCall(4) + toolCall(5) + toolCall(6));
  await until(() => relay.atClient().split('\n').length === 4);
  expect(relay.atClient()).toContain('limit `all` (2 at once) is used up');
  expect(relay.atServer()).toBe(toolCall(4) + toolCall(5));
});
