import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditEvent, type AuditLogOptions, openAuditLog } from '@gatebook/audit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCalls, unknownOutcome } from './lost-calls.js';

let folder: string;
let log: AuditLogOptions & { readonly dir: string };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatebook-lost-'));
  log = { dir: join(folder, 'log'), keysDir: join(folder, 'keys') };
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function append(events: readonly AuditEvent[], options = {}): Promise<void> {
  const open = await openAuditLog({ ...log, ...options });
  await Promise.all(events.map((event) => open.append(event)));
  await open.close();
}

const call = (callId: string, phase: 'intent' | 'outcome', more: object = {}): AuditEvent => ({
  eventType: 'tool_execution',
  callId,
  action: { phase, tool: 'read', command: `cat ${callId}` },
  ...more,
});

async function idsOf(fromSeq = 0): Promise<(string | undefined)[]> {
  return (await openCalls(log.dir, fromSeq)).intents.map(({ call_id }) => call_id);
}

test('a call is open from its intent to its outcome, whatever its arguments and lines around it say', async () => {
  await append([
    call('a', 'intent', { details: { text: '"phase":"outcome"', call_id: 'b' } }),
    call('b', 'intent'),
    { eventType: 'tool_execution', callId: 'b', details: { action: { phase: 'outcome' } } },
    call('c', 'intent'),
    { eventType: 'policy_violation', callId: 'c', action: { tool: 'read', allowed: false } },
    call('a', 'outcome'),
  ]);
  expect(await idsOf()).toEqual(['b', 'c']);
  const [segment] = readdirSync(join(log.dir, 'segments')).filter((name) =>
    name.endsWith('.jsonl'),
  );
  appendFileSync(join(log.dir, 'segments', segment!), '{"phase":"intent", and then nothing\n');
  expect(await idsOf()).toEqual(['b', 'c']);
});

test('it is looked from where it was looked before, and no further back than so many records', async () => {
  await append([call('a', 'intent'), call('b', 'intent')]);
  const { intents, nextSeq } = await openCalls(log.dir, 0);
  expect(await idsOf(intents[1]?.seq)).toEqual(['b']);
  expect(await openCalls(log.dir, nextSeq)).toEqual({ intents: [], nextSeq });
  const many = Array.from({ length: 20 }, () => ({ eventType: 'test.event' }) as const);
  await append([...many, call('c', 'intent')]);
  expect((await openCalls(log.dir, 0, 10)).intents.map(({ call_id }) => call_id)).toEqual(['c']);
});

test('an outcome that nobody knows says whose it is, and of which intent', async () => {
  const actor = { channel: 'cli', userId: 'ada', agent: 'coder' };
  const frame = { actor, sessionId: 's', source: 'files' };
  await append([call('a', 'intent', frame)]);
  const [intent] = (await openCalls(log.dir, 0)).intents;
  expect(unknownOutcome(intent!, false)).toMatchObject({
    ...frame,
    callId: 'a',
    action: { phase: 'outcome', tool: 'read', command: 'cat a' },
    result: { success: false, status: 'unknown' },
    details: { intent_seq: intent!.seq },
  });
});

test('where the log keeps persons out, no person is made up from what stands for one', async () => {
  const actor = { userId: 'ada', agent: 'coder' };
  await append([call('a', 'intent', { actor })], { content: 'personal' });
  const [intent] = (await openCalls(log.dir, 0)).intents;
  expect(intent?.actor?.user_id).not.toBe('ada');
  const event = unknownOutcome(intent!, true);
  expect(event?.actor).toEqual({ agent: 'coder' });
  expect(event?.action).toEqual({ phase: 'outcome', tool: 'read' });
  await append([event!]);
  expect(await idsOf()).toEqual([]);
});
