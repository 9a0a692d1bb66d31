import { expect, test } from 'vitest';
import { cancelledMax, resourceCharsMax } from './bounds.js';
import { type CallRequest, Calls } from './calls.js';
import { readClientLine } from './client-line.js';
import { readFacts, readServerLine } from './server-line.js';
import { Session } from './session.js';

function setUp(identity = {}) {
  let nowMs = 0;
  const session = new Session(identity, 'server-x');
  const calls = new Calls(session, () => nowMs);
  return {
    session,
    calls,
    pass: (ms: number): void => {
      nowMs += ms;
    },
    /** Reads a line as the client side does, and begins the call in it. */
    begin: (line: object | string) => {
      const request = requestOf(line);
      session.learnFromClient(request);
      return calls.begin(request);
    },
    /** As `begin`, and forwards it. */
    make: (line: object | string) => {
      const request = requestOf(line);
      session.learnFromClient(request);
      const begun = calls.begin(request);
      calls.forwarded(begun.call);
      return begun;
    },
    answer: (line: object | string) => {
      const text = typeof line === 'string' ? line : JSON.stringify({ jsonrpc: '2.0', ...line });
      const [answer] = readServerLine(Buffer.from(text)).answers;
      return calls.answer(answer!.keys, () => readFacts(answer!));
    },
  };
}

function requestOf(line: object | string): CallRequest & { kind: 'request' } {
  const text = typeof line === 'string' ? line : JSON.stringify({ jsonrpc: '2.0', ...line });
  const message = readClientLine(Buffer.from(`${text}\n`));
  if (message.kind !== 'request' || message.params === undefined)
    throw new Error(JSON.stringify(message));
  return { ...message, params: message.params };
}

const toolCall = (id: number | string, more: object = {}) => ({
  id,
  method: 'tools/call',
  params: { name: 'add', arguments: { a: 1 }, ...more },
});

test('an intent keeps the arguments as the text of the wire', () => {
  const { begin } = setUp({ user: 'u1', channel: 'desk' });
  const { intent, call } = begin(
    '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"add","arguments": { "__proto__":1, "b":12345678901234567890,"s":"\\ud800"}}}',
  );
  expect(intent).toMatchObject({
    eventType: 'tool_execution',
    actor: { userId: 'u1', channel: 'desk' },
    callId: call.callId,
    source: 'server-x',
    action: {
      phase: 'intent',
      tool: 'add',
      argumentsText: '{ "__proto__":1, "b":12345678901234567890,"s":"\\ud800"}',
    },
    details: { method: 'tools/call', jsonrpc_id: '"x"' },
  });
  expect(intent.sessionId).toMatch(/^ses_[0-9a-f-]{32,36}$/);
  expect(call.callId).toMatch(/^call_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/);
});

test('an outcome belongs to its intent and says how long it took', () => {
  const { begin, answer, calls, pass } = setUp();
  const { call } = begin(toolCall(1));
  pass(500);
  calls.forwarded(call);
  pass(12.3456);
  const { event, expected } = answer({ id: 1, result: { content: [] } });
  expect(expected).toBe(true);
  expect(event).toMatchObject({
    eventType: 'tool_execution',
    callId: call.callId,
    action: { phase: 'outcome', tool: 'add' },
    result: { success: true, status: 'ok', durationMs: 12.346, outputText: '{"content":[]}' },
  });
  expect(calls.waiting).toBe(0);
  expect(answer({ id: 1, result: {} })).toEqual({ event: undefined, expected: false });
});

test('reads and prompts are calls of their own kind', () => {
  const { begin } = setUp();
  expect(
    begin({ id: 1, method: 'resources/read', params: { uri: 'file:///a' } }).intent,
  ).toMatchObject({
    eventType: 'file_access',
    action: { phase: 'intent', resource: 'file:///a' },
  });
  expect(
    begin({ id: 2, method: 'prompts/get', params: { name: 'p', arguments: {} } }).intent,
  ).toMatchObject({
    eventType: 'mcp.prompt_get',
    action: { resource: 'p', argumentsText: '{}' },
  });
});

test('of a URI too long for its member the whole stands in the arguments', () => {
  const { begin } = setUp();
  const uri = `data:,${'x'.repeat(100_000)}`;
  const { action } = begin({ id: 1, method: 'resources/read', params: { uri } }).intent;
  expect(action?.resource).toHaveLength(resourceCharsMax);
  expect(action?.argumentsText).toBe(JSON.stringify(uri));
});

test('the answer "7" or 7.0 is that of the request 7', () => {
  const { make, answer } = setUp();
  make(toolCall(7));
  expect(answer({ id: '7', result: {} }).event).toBeDefined();
  make(toolCall(7));
  expect(answer('{"jsonrpc":"2.0","id":7.0,"result":{}}').event).toBeDefined();
});

test('a cancelled call ends once; its late answer is a fact of its own', () => {
  const { begin, answer, calls } = setUp();
  const { call } = begin(toolCall(1));
  expect(calls.cancel('1', 'too slow')).toMatchObject({
    callId: call.callId,
    action: { phase: 'outcome' },
    result: { success: false, status: 'cancelled', error: 'too slow' },
  });
  expect(calls.cancel('1', undefined)).toBeUndefined();
  expect(calls.cancel('2', undefined)).toBeUndefined();
  expect(calls.waiting).toBe(0);
  expect(calls.has('1')).toBe(true);
  const late = answer({ id: 1, result: { content: [] } });
  expect(late.event).toMatchObject({ eventType: 'mcp.late_answer', callId: call.callId });
  expect(late.event?.action?.phase).toBeUndefined();
  expect(calls.has('1')).toBe(false);
  expect(calls.abandon('end')).toEqual([]);
});

test('only so many cancelled calls are kept in mind', () => {
  const { begin, calls } = setUp();
  for (let id = 0; id <= cancelledMax; id++) {
    begin(toolCall(id));
    calls.cancel(String(id), undefined);
  }
  expect(calls.has('0')).toBe(false);
  expect(calls.has('1')).toBe(true);
  expect(calls.open).toBe(0);
});

test('what nobody answered is said to have died with the server', () => {
  const { begin, calls } = setUp();
  const first = begin(toolCall(1)).call;
  calls.forwarded(first);
  calls.watch({ key: '2', text: '2' }, 'tools/list');
  const events = calls.abandon('the server ended');
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({
    callId: first.callId,
    result: { success: false, status: 'server_died', error: 'the server ended' },
  });
  expect(calls.waiting).toBe(0);
});

test('what the server was not given is given up when it dies, and ends once', () => {
  const { begin, calls } = setUp();
  const [first, second, refused] = [1, 2, 3].map((id) => begin(toolCall(id)).call);
  refused!.begun = false;
  expect(calls.abandon('the server ended')).toEqual([]);
  expect(first!.giveUp.signal.reason).toBe('the server ended');
  expect(calls.waiting).toBe(3);
  const result = { success: false, status: 'server_died', error: 'the server ended' };
  expect(calls.notMade('1')).toMatchObject({ callId: first!.callId, result });
  expect(calls.notMade('1')).toBeUndefined();
  // The one that the gate has not let through has no intent, so it needs no outcome.
  expect(calls.abandonAll('the end')).toMatchObject([{ callId: second!.callId, result }]);
  expect([calls.waiting, calls.open]).toEqual([0, 0]);
});

test('a call that needs input is linked to the one that brings it, by state', () => {
  const { make, answer } = setUp();
  const first = make(toolCall(1)).call;
  const asked = answer({
    id: 1,
    result: { resultType: 'input_required', requestState: 'S1', inputRequests: { c: {} } },
  });
  expect(asked.event).toMatchObject({ result: { success: true, status: 'input_required' } });
  const other = make(toolCall(2, { requestState: 'S2', inputResponses: { c: {} } }));
  expect(other.intent.action?.continues).toBeUndefined();
  const second = make(toolCall(3, { requestState: 'S1', inputResponses: { c: {} } }));
  expect(second.intent.action?.continues).toBe(first.callId);
});

test('a call that needs input is linked by what was asked where there is no state', () => {
  const { make, answer } = setUp();
  const first = make(toolCall(1)).call;
  answer({ id: 1, result: { resultType: 'input_required', inputRequests: { a: {}, b: {} } } });
  expect(make(toolCall(2, { inputResponses: { a: {} } })).intent.action?.continues).toBeUndefined();
  const second = make(toolCall(3, { inputResponses: { b: {}, a: {} } }));
  expect(second.intent.action?.continues).toBe(first.callId);
});

test('a call that became a task is linked to the request for its result', () => {
  const { make, answer } = setUp();
  const first = make(toolCall(1, { task: { ttl: 60_000 } })).call;
  const made = answer({ id: 1, result: { task: { taskId: 'T', status: 'working' } } });
  expect(made.event).toMatchObject({ result: { success: true, status: 'task' } });
  const { intent } = make({ id: 2, method: 'tasks/result', params: { taskId: 'T' } });
  expect(intent).toMatchObject({
    eventType: 'mcp.task_result',
    action: { resource: 'T', continues: first.callId },
  });
  const result = { content: [{ type: 'text', text: 'no' }], isError: true };
  expect(answer({ id: 2, result }).event).toMatchObject({
    result: { success: false, error: 'no' },
  });
});

test('who speaks is learned in both eras, and the operator knows better', () => {
  const meta = {
    _meta: {
      'io.modelcontextprotocol/clientInfo': { name: 'new-client' },
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
  };
  const newer = setUp();
  const { intent } = newer.make(toolCall(1, meta));
  expect(intent).toMatchObject({
    actor: { agent: 'new-client' },
    trace: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' },
    details: { protocol_version: '2026-07-28' },
  });
  newer.answer({
    id: 1,
    result: { _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'S' } } },
  });
  expect(newer.session.source).toBe('S');

  const named = setUp({ agent: 'nightly' });
  expect(named.make(toolCall(1, meta)).intent).toMatchObject({
    actor: { agent: 'nightly' },
    details: { client: 'new-client' },
  });

  const older = setUp();
  const initialize = requestOf({
    id: 0,
    method: 'initialize',
    params: { clientInfo: { name: 'old' } },
  });
  older.session.learnFromClient(initialize);
  older.calls.watch(initialize.id, 'initialize');
  older.answer({ id: 0, result: { protocolVersion: '2025-11-25', serverInfo: { name: 'files' } } });
  expect(older.make(toolCall(1)).intent).toMatchObject({
    actor: { agent: 'old' },
    source: 'files',
    details: { protocol_version: '2025-11-25' },
  });
});

test('a trace context that is none is left out', () => {
  const { begin } = setUp();
  const zero = '00-00000000000000000000000000000000-b7ad6b7169203331-01';
  expect(begin(toolCall(1, { _meta: { traceparent: zero } })).intent.trace).toBeUndefined();
  expect(begin(toolCall(2, { _meta: { traceparent: 'x' } })).intent.trace).toBeUndefined();
  expect(begin(toolCall(3, { _meta: { traceparent: 5 } })).intent.trace).toBeUndefined();
});

test('an answer to a call that the server has not seen yet answers nothing', () => {
  const { calls, begin, answer } = setUp();
  const { call } = begin(toolCall(1));
  const guess = { id: 1, result: { content: [] } };
  expect(answer(guess)).toEqual({ event: undefined, expected: false });
  calls.forwarded(call);
  expect(answer(guess).event?.result).toMatchObject({ success: true, status: 'ok' });
});

test('of a call that waits nothing is said but by who lets it wait', () => {
  const { calls, begin, answer } = setUp();
  const { call } = begin(toolCall(1));
  call.begun = false;
  expect(answer({ id: 1, result: { content: [] } })).toEqual({ event: undefined, expected: false });
  expect(calls.cancel('1', undefined)).toBeUndefined();
  expect(calls.has('1')).toBe(true);
  expect(calls.giveUp('1')).toBe(true);
  expect(call.giveUp.signal.aborted).toBe(true);
  expect(calls.abandon('it died')).toEqual([]);
  calls.drop('1');
  expect(calls.giveUp('1')).toBe(false);
});
