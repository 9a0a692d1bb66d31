import type { Caller } from '@gatebook/audit';
import { expect, test } from 'vitest';
import { GateState } from './gate-state.js';
import type { Answer, Ask, Op } from './message.js';

const ann: Caller = { client: 'a'.repeat(32), pid: 1 };
const bob: Caller = { client: 'b'.repeat(32), pid: 2, emitter: 'agent-7' };

function ask<O extends Op>(state: GateState, from: Caller, op: O, message: Ask<O>): Answer<O> {
  return JSON.parse(state.answer(JSON.stringify({ op, ...message }), from) as string) as Answer<O>;
}

/** Takes one of two a day; the id of the limits and the grant. */
function take(state: GateState, from: Caller): { limits: string; grant: string | undefined } {
  const rate = { count: 2, perMs: 86_400_000 };
  const { id: limits } = ask(state, from, 'limits', { specs: [{ name: 'all', rate }] });
  const answer = ask(state, from, 'take', { limits, request: {} });
  return { limits, grant: 'grant' in answer ? answer.grant : undefined };
}

function left(state: GateState, limits: string): number | null {
  const answer = ask(state, ann, 'peek', { limits, request: {} });
  return 'unknown' in answer ? null : answer.remaining;
}

test('a grant is given back once, by who has it, to who granted it', () => {
  const state = new GateState();
  const { limits, grant } = take(state, ann);
  const before = left(state, limits);
  ask(state, bob, 'refund', { grant: grant! });
  expect(left(state, limits)).toBe(before);

  const other = new GateState();
  const theirs = take(other, ann);
  ask(other, ann, 'refund', { grant: grant! });
  expect(left(other, theirs.limits)).toBe(before);

  ask(state, ann, 'refund', { grant: grant! });
  ask(state, ann, 'refund', { grant: grant! });
  expect(left(state, limits)).toBe(before! + 1);
});

test('who has gone without a word may have left calls, who has said so has not', () => {
  const state = new GateState();
  ask(state, ann, 'hello', {});
  ask(state, bob, 'hello', {});
  expect(state.hasGates).toBe(true);
  ask(state, ann, 'bye', {});
  expect(state.left(ann)).toEqual({ unsure: false, emitter: undefined });
  expect(state.left(bob)).toEqual({ unsure: true, emitter: 'agent-7' });
  expect(state.hasGates).toBe(false);
});

test('a name that somebody else has too has not gone', () => {
  const state = new GateState();
  ask(state, bob, 'hello', {});
  ask(state, { ...bob, client: 'c'.repeat(32) }, 'hello', {});
  expect(state.left(bob)).toEqual({ unsure: true, emitter: undefined });
});

test('who asked answers and withdraws, nobody else does, also where the holder has changed', () => {
  const rules = { rule: 'r', rules: ['r'] };
  const question = { session: 's', actor: 'a', tool: 't', server: '', ...rules, digest: 'd' };
  const shown = { risk: 'high', reasons: [], text: '{}', bytes: 2 };
  const verdict = { approved: true, reach: 'once', by: 'ann', how: 'terminal' } as const;
  const before = new GateState();
  const { id } = ask(before, ann, 'ask', { question, shown });
  const state = new GateState();
  state.restore(JSON.parse(JSON.stringify(before.snapshot())));
  const theirs = ask(state, bob, 'decide', { id, verdict });
  expect(theirs).toMatchObject({ error: { message: expect.stringContaining('only who asked') } });
  expect(ask(state, bob, 'withdraw', { id })).toMatchObject({ error: { code: 'denied' } });
  expect(JSON.stringify(state.approvals.pending())).not.toContain(ann.client);
  expect(ask(state, ann, 'decide', { id, verdict })).toMatchObject({ approval: { id } });

  // Whoever asks the same is one of those who asked.
  const both = ask(before, bob, 'ask', { question, shown });
  expect(both.id).toBe(id);
  expect(ask(before, bob, 'withdraw', { id })).toEqual({});
  expect(ask(before, ann, 'decide', { id, verdict })).toEqual({});
});

test('an approval that is revoked while its call is on its way is not in force again when the call is given back', () => {
  const rules = { rule: 'r', rules: ['r'] };
  const question = { session: 's', actor: 'a', tool: 't', server: '', ...rules, digest: 'd' };
  const shown = { risk: 'high', reasons: [], text: '{}', bytes: 2 };
  const verdict = { approved: true, reach: 'once', by: 'ann', how: 'terminal' } as const;
  for (const revoked of [false, true]) {
    const state = new GateState();
    const { limits } = take(state, ann);
    const { id } = ask(state, ann, 'ask', { question, shown });
    ask(state, ann, 'decide', { id, verdict });
    const taken = ask(state, ann, 'take', { limits, request: {}, approval: id });
    expect(ask(state, ann, 'find', { question })).toEqual({});
    if (revoked) state.approvals.revoke();
    ask(state, ann, 'refund', { grant: 'grant' in taken ? taken.grant! : '' });
    const found = ask(state, ann, 'find', { question }).approval?.id;
    expect(found).toBe(revoked ? undefined : id);
  }
});
