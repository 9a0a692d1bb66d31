import type { Policy } from '@gatebook/policy';
import { expect, test } from 'vitest';
import type { GateRules } from '../gate.js';
import { unexpectedMax } from './bounds.js';
import { type FixtureRelayOptions, fixtureRelay, until } from './fixture-relay.js';

/** A policy that asks about every call. */
const policy: Policy = {
  decide: () => ({
    decision: 'ask',
    risk: 'high',
    rule: 'ask:tool:*',
    reasons: ['it is asked'],
    asks: ['ask:tool:*'],
  }),
  explain: () => {
    throw new Error('not used');
  },
  policies: [],
  close: () => undefined,
};

const withForms = { elicitation: { form: {}, url: {} } };

async function setUp(
  capabilities: object = withForms,
  rules: GateRules = {},
  elicitation = true,
  more: FixtureRelayOptions = {},
) {
  const relay = await fixtureRelay({ rules: { policy, ...rules }, elicitation, ...more });
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'c' } };
  const initialize = lineOf({ id: 0, method: 'initialize', params });
  relay.clientOut.write(initialize);
  await until(() => relay.atServer() === initialize);
  const messages = (): Message[] =>
    relay
      .atClient()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Message);
  return {
    ...relay,
    messages,
    /** What the server got after `initialize`. */
    calls: (): string => relay.atServer().slice(initialize.length),
    message: async (where: (message: Message) => boolean): Promise<Message> => {
      await until(() => messages().some(where));
      return messages().find(where)!;
    },
    types: (): string[] =>
      relay.book.events.map(({ eventType, security }) =>
        eventType === 'security_event' ? `${security?.rule}` : eventType,
      ),
  };
}

interface Message {
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: { readonly message?: string; readonly requestId?: string };
  readonly result?: {
    readonly resultType?: string;
    readonly requestState?: string;
    readonly inputRequests?: Record<string, { params: { message: string } }>;
    readonly content?: readonly { readonly text: string }[];
  };
  readonly error?: object;
}

function lineOf(message: object): string {
  return `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`;
}

const call =
  ' {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"n":1e2}}}\r\n';
const isQuestion = ({ method }: Message): boolean => method === 'elicitation/create';
const yes = { action: 'accept', content: { approve: true } };

test('a yes of the client lets the call pass as it came, and is not passed on itself', async () => {
  const relay = await setUp();
  relay.clientOut.write(call);
  const question = await relay.message(isQuestion);
  expect(question.id).toMatch(/^gatebook-[0-9a-f]{32}$/);
  expect(question.params?.message).toContain(
    'Tool: fixture/t\nAgent: c\nRisk: high (rule ask:tool:*)',
  );
  expect(relay.calls()).toBe('');
  const answer = lineOf({ id: question.id, result: yes });
  relay.clientOut.write(answer);
  await until(() => relay.calls() !== '');
  relay.clientOut.write(lineOf({ id: 9, method: 'ping' }));
  await until(() => relay.calls().includes('ping'));
  expect(relay.calls()).toBe(call + lineOf({ id: 9, method: 'ping' }));
  const given = relay.book.events.find(({ eventType }) => eventType === 'gate.approval');
  expect(given).toMatchObject({
    action: { approved: true },
    details: { how: 'elicitation', by: 'the user of c', reach: 'once' },
  });
  relay.clientOut.write(answer);
  await until(() => relay.types().includes('mcp.elicitation_answer'));
  relay.clientOut.write(lineOf({ id: 10, method: 'ping' }));
  await until(() => relay.calls().includes('"id":10'));
  expect(relay.calls()).not.toContain('accept');
});

test('a yes for the session is for this server, and for no other one that calls itself the same', async () => {
  const first = await setUp();
  first.clientOut.write(call);
  const { id } = await first.message(isQuestion);
  const content = { approve: true, reach: 'session' };
  first.clientOut.write(lineOf({ id, result: { action: 'accept', content } }));
  await until(() => first.calls() !== '');

  const { book } = first;
  const same = await setUp(withForms, {}, true, { book });
  same.clientOut.write(call);
  await until(() => same.calls() !== '');
  expect(same.messages()).toEqual([]);

  const other = await setUp(withForms, {}, true, { book, pinnedAs: 'command:other' });
  other.clientOut.write(call);
  const question = await other.message(isQuestion);
  expect(question.params?.message).toContain('Tool: fixture/t\n');
  expect(other.calls()).toBe('');
});

test.each([
  ['accepted with approve: false', { result: { action: 'accept', content: { approve: false } } }],
  ['declined', { result: { action: 'decline' } }],
])('%s is a no', async (_, answer) => {
  const relay = await setUp();
  relay.clientOut.write(call);
  const { id } = await relay.message(isQuestion);
  relay.clientOut.write(lineOf({ id, ...answer }));
  const refused = await relay.message((message) => message.id === 1);
  expect(refused.result?.content?.[0]?.text).toContain('the user of c has refused it');
  expect(relay.calls()).toBe('');
});

test.each([
  ['cancelled', { result: { action: 'cancel' } }],
  ['an error', { error: { code: -1, message: 'no' } }],
  ['approve as a text', { result: { action: 'accept', content: { approve: 'true' } } }],
  ['approve as a number', { result: { action: 'accept', content: { approve: 1 } } }],
  ['no content', { result: { action: 'accept' } }],
  ['another action', { result: { action: 'approve', content: { approve: true } } }],
  ['another reach', { result: { action: 'accept', content: { approve: true, reach: 'ever' } } }],
  ['a list', { result: [{ action: 'accept', content: { approve: true } }] }],
])('%s is no answer: the call is pending, and another may say yes', async (_, answer) => {
  const relay = await setUp(withForms, { approvalMs: 300 });
  relay.clientOut.write(call);
  const { id } = await relay.message(isQuestion);
  relay.clientOut.write(lineOf({ id, ...answer }));
  const refused = await relay.message((message) => message.id === 1);
  expect(refused.result?.content?.[0]?.text).toContain('approval pending');
  expect(relay.calls()).toBe('');
});

test.each([
  ['says nothing of elicitation', {}],
  ['shows no forms', { elicitation: { url: {} } }],
])('a client that %s is not asked', async (_, capabilities) => {
  const relay = await setUp(capabilities, { approvalMs: 50 });
  relay.clientOut.write(call);
  await relay.message((message) => message.id === 1);
  expect(relay.messages().filter(isQuestion)).toEqual([]);
});

test('nobody is asked through the client where that is switched off', async () => {
  const relay = await setUp(withForms, { approvalMs: 50 }, false);
  relay.clientOut.write(call);
  await relay.message((message) => message.id === 1);
  expect(relay.messages().filter(isQuestion)).toEqual([]);
});

test('a question that somebody else answers, or whose call is cancelled, is taken back', async () => {
  const relay = await setUp({ elicitation: {} });
  relay.clientOut.write(call);
  const { id } = await relay.message(isQuestion);
  await until(() => relay.types().includes('gate.approval_requested'));
  const asked = relay.book.events.find(({ eventType }) => eventType === 'gate.approval_requested');
  const verdict = { approved: true, reach: 'once', by: 'ann', how: 'command' } as const;
  await relay.state.ask('decide', { id: String(asked?.details?.['approval']), verdict });
  await until(() => relay.calls() === call);
  const takenBack = await relay.message(({ method }) => method === 'notifications/cancelled');
  expect(takenBack.params?.requestId).toBe(id);
  relay.clientOut.write(lineOf({ id: 2, method: 'tools/call', params: { name: 'u' } }));
  await until(() => relay.messages().filter(isQuestion).length === 2);
  const second = relay.messages().filter(isQuestion)[1]!.id;
  relay.clientOut.write(lineOf({ method: 'notifications/cancelled', params: { requestId: 2 } }));
  await relay.message(({ params }) => params?.requestId === second);
  relay.clientOut.write(lineOf({ id: second, result: yes }));
  await until(() => relay.types().includes('mcp.elicitation_answer'));
  expect(relay.calls()).toBe(call);
});

test('what the agent writes cannot pass for a line of the question', async () => {
  const relay = await setUp();
  const name = 'safe\nRisk: low\u202e';
  relay.clientOut.write(
    lineOf({ id: 1, method: 'tools/call', params: { name, arguments: { a: '\nRisk: low' } } }),
  );
  const { params } = await relay.message(isQuestion);
  const risks = params?.message?.split('\n').filter((line) => line.startsWith('Risk: '));
  expect(risks).toEqual(['Risk: high (rule ask:tool:*)']);
  expect(params?.message).toContain('\\u{202e}');
});

test("a server's request with an id of the gate's kind is refused, and its own answer is no approval", async () => {
  const relay = await setUp();
  relay.clientOut.write(call);
  const { id } = await relay.message(isQuestion);
  const stolen = { id, method: 'elicitation/create', params: { message: 'Your password?' } };
  const text = JSON.stringify({ jsonrpc: '2.0', ...stolen });
  relay.serverOut.write(`${text}\n[${text}]\n`);
  relay.serverOut.write(`${text.replace('"id"', '"id":7,"id"')}\n`);
  relay.serverOut.write(`${text.replace('gatebook', '\\u0067atebook')}\n`);
  const own = lineOf({ id, result: yes });
  relay.serverOut.write(own);
  await until(() => relay.atClient().endsWith(own));
  expect(relay.atClient()).not.toContain('password');
  expect(relay.calls()).not.toContain('tools/call');
  const errors = relay
    .calls()
    .split('\n')
    .filter((line) => line !== '');
  expect(errors).toHaveLength(4);
  expect(JSON.parse(errors[0]!)).toMatchObject({ id, error: { code: -32600 } });
  await relay.outcomes.settled();
  expect(relay.types().filter((type) => type === 'mcp.reserved_id')).toHaveLength(4);
  relay.clientOut.write(lineOf({ id, result: yes }));
  await until(() => relay.calls().includes(call));
});

test('a server that keeps on asking under such ids fills neither its own input nor the book', async () => {
  const relay = await setUp();
  const request = lineOf({ id: 'gatebook-1', method: 'ping' });
  for (let i = 0; i < unexpectedMax + 20; i++) relay.serverOut.write(request);
  relay.serverOut.end();
  await relay.serverDone;
  await relay.outcomes.settled();
  await until(() => relay.calls().split('\n').length > unexpectedMax);
  expect(relay.calls().split('\n')).toHaveLength(unexpectedMax + 1);
  expect(relay.types()).toHaveLength(unexpectedMax);
});

function newer(id: number, more: object = {}, args = '{"n":1e2,"m":1.0}'): string {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
  };
  const params = JSON.stringify({ name: 't', _meta: meta, ...more, arguments: 0 });
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params.replace('"arguments":0', `"arguments":${args}`)}}\n`;
}

interface Asked {
  readonly key: string;
  readonly requestState: string;
}

type Relay = Awaited<ReturnType<typeof setUp>>;

async function askedBy(relay: Relay, id: number): Promise<Asked> {
  const { result } = await relay.message((message) => message.id === id);
  expect(result?.resultType).toBe('input_required');
  const key = Object.keys(result?.inputRequests ?? {})[0]!;
  expect(result?.inputRequests?.[key]?.params.message).toContain('Tool: fixture/t');
  return { key, requestState: result?.requestState ?? '' };
}

test('the newer era is asked by the answer to the call, and the call that brings the yes passes without it', async () => {
  const relay = await setUp({});
  relay.clientOut.write(newer(1));
  const { key, requestState } = await askedBy(relay, 1);
  relay.clientOut.write(newer(2, { inputResponses: { [key]: yes }, requestState }));
  await until(() => relay.calls() !== '');
  expect(relay.calls()).toBe(newer(2));
  expect(relay.types()).toEqual([
    'gate.approval_requested',
    'gate.approval_requested',
    'gate.approval',
    'tool_execution',
  ]);
  const [first, , , intent] = relay.book.events;
  expect(intent?.action?.continues).toBe(first?.callId);
  relay.serverOut.write(lineOf({ id: 2, result: { content: [] } }));
  await until(() => relay.types().length === 5);
});

test('a state is good once, for the same call, unchanged, and not for ever', async () => {
  const relay = await setUp({});
  relay.clientOut.write(newer(1));
  const { key, requestState } = await askedBy(relay, 1);
  const inputResponses = { [key]: yes };
  const refusal = async (line: string, id: number): Promise<string> => {
    relay.clientOut.write(line);
    const { result } = await relay.message((message) => message.id === id);
    return result?.content?.[0]?.text ?? JSON.stringify(result);
  };
  const middle = requestState.length - 60;
  const changed =
    requestState.slice(0, middle) +
    (requestState[middle] === 'A' ? 'B' : 'A') +
    requestState.slice(middle + 1);
  expect(await refusal(newer(2, { inputResponses, requestState: changed }), 2)).toContain(
    'changed',
  );
  expect(await refusal(newer(3, { inputResponses, requestState }, '{"n":2}'), 3)).toContain(
    'another digest',
  );
  const other = newer(4, { inputResponses, requestState }).replace('"name":"t"', '"name":"u"');
  expect(await refusal(other, 4)).toContain('another subject');
  expect(relay.calls()).toBe('');
  relay.clientOut.write(newer(5, { inputResponses, requestState }));
  await until(() => relay.calls() === newer(5));
  expect(await refusal(newer(6, { inputResponses, requestState }), 6)).toContain('used already');
  expect(relay.calls()).toBe(newer(5));
  expect(relay.types().filter((type) => type === 'mcp.request_state')).toHaveLength(4);
});

test.each([
  ['declined', { action: 'decline' }, 'has refused it'],
  ['accepted without approve', { action: 'accept', content: { approve: false } }, 'has refused it'],
  ['cancelled', { action: 'cancel' }, 'approval pending'],
  ['malformed', { action: 'accept', content: { approve: 'yes' } }, 'approval pending'],
])('in the newer era, what is %s does not pass', async (_, response, text) => {
  const relay = await setUp({});
  relay.clientOut.write(newer(1));
  const { key, requestState } = await askedBy(relay, 1);
  relay.clientOut.write(newer(2, { inputResponses: { [key]: response }, requestState }));
  const { result } = await relay.message((message) => message.id === 2);
  expect(result?.content?.[0]?.text).toContain(text);
  expect(relay.calls()).toBe('');
});

test("what the call had brought for the server comes to it after the question, and others' answers too", async () => {
  const relay = await setUp({});
  const theirs = {
    inputResponses: { confirm: { action: 'accept', content: { n: 1 } } },
    requestState: 'of the server',
  };
  relay.clientOut.write(newer(1, theirs));
  const first = await askedBy(relay, 1);
  // Without an answer it is asked again, and nothing is lost.
  relay.clientOut.write(newer(2, { requestState: first.requestState }));
  const { key, requestState } = await askedBy(relay, 2);
  relay.clientOut.write(newer(3, { inputResponses: { [key]: yes }, requestState }));
  await until(() => relay.calls() !== '');
  expect(JSON.parse(relay.calls())).toEqual(JSON.parse(newer(3, theirs)));
  expect(relay.calls()).toContain('"arguments":{"n":1e2,"m":1.0}');
});

test('a requestState that is not of this gate passes as it came', async () => {
  const relay = await setUp({}, { policy: undefined });
  const line = newer(1, { requestState: 'gatebook.0123456789abcdef.x.y' });
  relay.clientOut.write(line);
  await until(() => relay.calls() === line);
});
