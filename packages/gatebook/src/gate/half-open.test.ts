import type { AuditEvent } from '@gatebook/audit';
import type { Decision, Policy, ToolAnnotations } from '@gatebook/policy';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Admitted, Gate } from '../gate.js';
import type { Refused } from './refused.js';
import type { Verdict } from './state/approvals.js';
import { GateState } from './state/gate-state.js';
import { type Holder, ownHolder, StateClient } from './state/state-client.js';

/** A session that is stopped goes on when one call shows that it may; what becomes of a call that was refused on the way. */

let verdict: Verdict | 'nobody';
let logFails: boolean;
let gate: Gate;

/** A gate whose session was stopped a minute ago, after a failed call. */
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  verdict = 'nobody';
  logFails = false;
  const rate = { count: 1, perMs: 1e15 };
  const limits = [{ name: 'few', rate, tool: 'few' }];
  const rules = {
    breaker: { failures: 1 },
    approvalMs: 1_000,
    policy: { decide } as unknown as Policy,
  };
  gate = new Gate(
    {
      book: {
        intent: async () => (logFails ? 'made to fail' : undefined),
        fact: async (_: AuditEvent) => true,
        missing: 0,
      },
      state: new StateClient(ownHolder(new GateState()), limits),
      ask: async () => verdict,
    },
    rules,
  );
  await runs('few', false);
  expect(await call('plain')).toMatchObject({ code: 'breaker_open', retryAfterMs: 60_000 });
  vi.advanceTimersByTime(60_000);
});

afterEach(() => {
  vi.useRealTimers();
});

function decide({ tool }: { tool: string }): Decision {
  const decision = tool === 'ask' || tool === 'deny' ? tool : 'allow';
  if (tool === 'throw') throw new Error('made to fail');
  return { decision, risk: 'low', rule: tool, reasons: [], asks: [] } as unknown as Decision;
}

async function call(
  name: string,
  signal = new AbortController().signal,
): Promise<Admitted | Refused> {
  return await gate.admit({
    actor: { userId: 'ada' },
    sessionId: 's',
    name,
    isTool: true,
    arguments: {},
    annotations: {} as ToolAnnotations,
    intent: { eventType: 'tool_execution', sessionId: 's', action: { phase: 'intent' } },
    signal,
  });
}

async function runs(name: string, success: boolean): Promise<void> {
  const admitted = await call(name);
  expect(admitted.allowed).toBe(true);
  if (admitted.allowed) await admitted.ended(success);
}

test('a pin that cannot be looked up refuses the call, also while the breaker is still asked', async () => {
  const own = ownHolder(new GateState());
  const slow: Holder = {
    ask: async (op, message) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return await own.ask(op, message);
    },
  };
  const book = { intent: async () => undefined, fact: async () => true, missing: 0 };
  const state = new StateClient(slow, []);
  const other = new Gate({ book, state, ask: async () => verdict }, { breaker: { failures: 1 } });
  const answer = await other.admit({
    ...{ actor: {}, sessionId: 's', name: 'tool', isTool: true, arguments: {} },
    intent: { eventType: 'tool_execution' },
    signal: new AbortController().signal,
    pin: async () => {
      throw new Error('no answer');
    },
  });
  expect(answer).toMatchObject({ allowed: false, code: 'state_unavailable' });
});

const notMade: [string, () => Promise<void>][] = [
  [
    'a limit refuses it',
    async () => expect(await call('few')).toMatchObject({ code: 'rate_limited' }),
  ],
  [
    'nobody has answered',
    async () => expect(await call('ask')).toMatchObject({ code: 'approval_pending' }),
  ],
  [
    'it is given up',
    async () =>
      expect(await call('plain', AbortSignal.abort('x'))).toMatchObject({ code: 'cancelled' }),
  ],
  [
    'it cannot be decided on',
    async () => expect(await call('throw')).toMatchObject({ code: 'state_unavailable' }),
  ],
  [
    'it cannot be recorded',
    async () => {
      logFails = true;
      expect(await call('plain')).toMatchObject({ code: 'log_unavailable' });
      logFails = false;
    },
  ],
  [
    'it is not made in the end',
    async () => {
      const admitted = await call('plain');
      if (admitted.allowed) await admitted.notMade();
    },
  ],
];

test.each(notMade)('where %s another call is let through', async (_, probe) => {
  await probe();
  await runs('plain', true);
  await runs('plain', true);
});

test('what is approved later passes then, and lets the session go on', async () => {
  expect(await call('ask')).toMatchObject({ code: 'approval_pending' });
  verdict = { approved: true, reach: 'once', by: 'ada', how: 'terminal' };
  await runs('ask', true);
  await runs('plain', true);
});

test('a denial by the policy or by a person shows that it may not go on', async () => {
  verdict = { approved: false, reach: 'once', by: 'ada', how: 'terminal' };
  expect(await call('ask')).toMatchObject({ code: 'denied' });
  expect(await call('plain')).toMatchObject({ code: 'breaker_open', retryAfterMs: 120_000 });
  vi.advanceTimersByTime(120_000);
  expect(await call('deny')).toMatchObject({ code: 'denied' });
  expect(await call('plain')).toMatchObject({ code: 'breaker_open', retryAfterMs: 240_000 });
  vi.advanceTimersByTime(240_000);
  await runs('plain', true);
  // Each no of a person counts as a failed call does.
  expect(await call('ask')).toMatchObject({ code: 'denied' });
  expect(await call('plain')).toMatchObject({ code: 'breaker_open' });
});
