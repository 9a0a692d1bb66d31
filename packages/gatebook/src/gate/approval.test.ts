import type { AuditEvent } from '@gatebook/audit';
import { beforeEach, expect, test } from 'vitest';
import { ask } from './approval.js';
import type { GateCall } from './call.js';
import type { PinnedDecision } from './pin.js';
import type { Refused } from './refused.js';
import type { Approval, Verdict } from './state/approvals.js';
import { GateState } from './state/gate-state.js';
import { ownHolder, StateClient } from './state/state-client.js';

/** What the person of the gate says has effect once it is recorded, or not at all. */

const decision: PinnedDecision = {
  decision: 'ask',
  risk: 'high',
  rule: 'unknown-program',
  reasons: [],
  asks: ['git-remote-rewrite', 'unknown-program'],
};
const yes: Verdict = { approved: true, reach: 'session', by: 'ann', how: 'terminal' };
const patienceMs = 50;

let state: GateState;
let events: AuditEvent[];
let giveUp: AbortController;
/** What is done while the answer is on its way into the book; whether it gets there. */
let recording: () => Promise<string | undefined>;

beforeEach(() => {
  state = new GateState();
  events = [];
  giveUp = new AbortController();
  recording = async () => undefined;
});

async function asked(verdict: Verdict = yes): Promise<Approval | Refused> {
  const call: GateCall = {
    actor: { userId: 'ann' },
    sessionId: 's',
    name: 'exec',
    isTool: true,
    arguments: { command: 'frobnicate' },
    intent: { eventType: 'command_execution', callId: 'call_1' },
    signal: giveUp.signal,
  };
  const book = {
    intent: async (event: AuditEvent): Promise<string | undefined> => {
      // Nothing is in force that is not recorded.
      expect(state.approvals.given()).toEqual([]);
      const failure = await recording();
      if (failure === undefined) events.push(event);
      return failure;
    },
    fact: async (event: AuditEvent): Promise<boolean> => {
      events.push(event);
      return true;
    },
  };
  const parts = { book, state: new StateClient(ownHolder(state), []), ask: async () => verdict };
  return await ask(parts, call, decision, 'd', patienceMs);
}

async function waits(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function told(): string[] {
  return events.map(({ eventType, action, result }) =>
    [eventType, action?.approved, result?.status].filter((word) => word !== undefined).join(' '),
  );
}

test('an answer is recorded before it has effect, with all the rules it is about', async () => {
  const answer = await asked();
  expect(answer).toMatchObject({ approved: true, by: 'ann', rules: decision.asks });
  expect(told()).toEqual(['gate.approval_requested', 'gate.approval true']);
  for (const { details } of events) expect(details).toMatchObject({ rules: decision.asks });
  expect(state.approvals.given()).toHaveLength(1);
});

test('an answer that came in time counts, however long the book takes', async () => {
  recording = async () => {
    await waits(3 * patienceMs);
    return undefined;
  };
  expect(await asked()).toMatchObject({ approved: true });
  expect(told()).toEqual(['gate.approval_requested', 'gate.approval true']);
});

test('an answer that cannot be recorded has no effect', async () => {
  recording = async () => 'the disk is full';
  const answer = await asked();
  expect(answer).toMatchObject({ allowed: false, code: 'log_unavailable' });
  expect(state.approvals.given()).toEqual([]);
  expect(state.approvals.pending()).toHaveLength(1);
});

test('an answer to a call that is given up while it is recorded has no effect, and the book says so', async () => {
  recording = async () => {
    giveUp.abort('cancelled');
    return undefined;
  };
  expect(await asked()).toMatchObject({ allowed: false, code: 'cancelled' });
  expect(state.approvals.given()).toEqual([]);
  expect(state.approvals.pending()).toEqual([]);
  expect(told()).toEqual([
    'gate.approval_requested',
    'gate.approval true',
    'gate.approval false void',
    'policy_violation refused',
  ]);
});

test('of two answers the first one counts, and the other one is void', async () => {
  recording = async () => {
    const [{ id } = { id: '' }] = state.approvals.pending();
    state.approvals.decide(id, { approved: false, reach: 'once', by: 'bob', how: 'command' });
    return undefined;
  };
  expect(await asked()).toMatchObject({
    code: 'denied',
    reason: expect.stringContaining('bob has refused'),
  });
  expect(state.approvals.given()).toEqual([]);
  expect(told().slice(1, 3)).toEqual(['gate.approval true', 'gate.approval false void']);
});

test('an answer that the holder does not take is void, unless it has taken it', async () => {
  const { decide } = state.approvals;
  state.approvals.decide = () => {
    throw new Error('the holder has gone');
  };
  await expect(asked()).rejects.toThrow('the holder has gone');
  expect(told().at(-1)).toBe('gate.approval false void');

  events = [];
  state.approvals.decide = (...args) => {
    decide.apply(state.approvals, args);
    throw new Error('the answer was lost');
  };
  expect(await asked()).toMatchObject({ approved: true });
  expect(told()).toEqual(['gate.approval_requested', 'gate.approval true']);
});
