import { AuditError, type AuditEvent } from '@gatebook/audit';
import type { Decision, Policy, ToolAnnotations } from '@gatebook/policy';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Gate } from '../gate.js';
import { type Book, Ledger } from '../mcp/ledger.js';
import type { Verdict } from './state/approvals.js';
import { consultOf } from './state/fixture-consult.js';
import { GateState } from './state/gate-state.js';
import { byMessages, StateClient } from './state/state-client.js';

/**
 * Whatever comes together, configurations, calls at once, calls given up, and a log that fails: nothing runs without an intent
 * on disk, nothing is refused unseen, and no token is kept for a call that did not run.
 */

const runs = process.env['GATEBOOK_CONFORMANCE'] === 'full' ? 5_000 : 150;

/** A book in memory that fails while it is told to. */
class FailingBook implements Book {
  readonly events: AuditEvent[] = [];
  readonly state = new GateState();
  failing: 'no' | 'appends' | 'all' = 'no';
  readonly #ask = consultOf(this.state);

  async append(event: AuditEvent): Promise<void> {
    await tick();
    if (this.failing !== 'no') throw new AuditError('write_failed', 'made to fail');
    this.events.push(event);
  }

  async consult(message: string): Promise<{ answer: string }> {
    await tick();
    if (this.failing === 'all') throw new AuditError('log_unavailable', 'made to fail');
    return { answer: await this.#ask(message) };
  }

  async drained(): Promise<void> {}

  async close(): Promise<void> {}
}

async function tick(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

type Step =
  | {
      readonly kind: 'call';
      readonly tool: 'a' | 'b';
      readonly decision: Decision['decision'];
      readonly answer: 'yes' | 'no' | 'session' | 'nobody';
      readonly giveUpAfter: number | undefined;
      readonly fails: boolean;
    }
  | { readonly kind: 'wait'; readonly ticks: number }
  | { readonly kind: 'fail'; readonly failing: 'no' | 'appends' | 'all' }
  | { readonly kind: 'change'; readonly limit: number; readonly identical: number | undefined };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      tool: fc.constantFrom('a' as const, 'b' as const),
      decision: fc.constantFrom(
        'allow' as const,
        'allow' as const,
        'ask' as const,
        'deny' as const,
      ),
      answer: fc.constantFrom('yes' as const, 'no' as const, 'session' as const, 'nobody' as const),
      giveUpAfter: fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined, freq: 3 }),
      fails: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ticks: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      failing: fc.constantFrom('no' as const, 'appends' as const, 'all' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      limit: fc.integer({ min: 0, max: 8 }),
      identical: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    }),
  },
);

/** So slow that nothing comes back while a test runs. */
const never = 1e15;

class World {
  readonly book = new FailingBook();
  readonly told: string[] = [];
  readonly ledger = new Ledger({
    open: async () => this.book,
    onLogFailure: 'refuse',
    report: (line) => void this.told.push(line),
    reopenAfterMs: 0,
  });
  readonly state = new StateClient(
    byMessages((message) => this.ledger.consult(message)),
    this.#limits(6),
  );
  readonly gate: Gate;
  readonly #deciding = new Map<string, Step & { kind: 'call' }>();
  /** By call id: what was refused, and what ran. */
  readonly ran = new Set<string>();
  readonly refused = new Map<string, string>();
  readonly #calls: Promise<void>[] = [];
  #next = 0;

  constructor() {
    const policy = { decide: (call: { annotations?: unknown }) => this.#decide(call) };
    const rules = { policy: policy as unknown as Policy, approvalMs: 20 };
    const ask = async ({
      call,
    }: {
      call: { annotations?: unknown };
    }): Promise<Verdict | undefined> => {
      await tick();
      const { answer } = this.#deciding.get(idIn(call))!;
      if (answer === 'nobody') return undefined;
      const reach = answer === 'session' ? 'session' : 'once';
      return { approved: answer !== 'no', reach, by: 'ada', how: 'terminal' };
    };
    this.gate = new Gate({ book: this.ledger, state: this.state, ask }, rules);
    this.#rules = rules;
  }

  #rules: ConstructorParameters<typeof Gate>[1];

  #limits(count: number): { name: string; rate: { count: number; perMs: number } }[] {
    return [{ name: 'all', rate: { count, perMs: never } }];
  }

  #decide(call: { annotations?: unknown }): Decision {
    const { decision, tool } = this.#deciding.get(idIn(call))!;
    const rule = `${decision}-${tool}`;
    return { decision, risk: 'medium', rule, reasons: [], asks: [rule] };
  }

  async take(steps: readonly Step[]): Promise<void> {
    await this.ledger.open({ passUnavailable: true });
    for (const each of steps) {
      if (each.kind === 'wait') for (let at = 0; at < each.ticks; at++) await tick();
      if (each.kind === 'fail') this.book.failing = each.failing;
      if (each.kind === 'call') this.#calls.push(this.#call(each));
      if (each.kind === 'change') {
        this.state.change(this.#limits(each.limit));
        const { identical } = each;
        const breaker = identical === undefined ? undefined : { identicalCalls: identical };
        this.#rules = { ...this.#rules, breaker };
        this.gate.change(this.#rules);
      }
    }
    await Promise.all(this.#calls);
    this.book.failing = 'no';
    await this.gate.close();
    // The next record says what is missing.
    await this.ledger.fact({ eventType: 'security_event' });
  }

  async #call(each: Step & { kind: 'call' }): Promise<void> {
    const callId = `call_${this.#next++}`;
    this.#deciding.set(callId, each);
    const giveUp = new AbortController();
    if (each.giveUpAfter !== undefined) void this.#giveUp(giveUp, each.giveUpAfter);
    const admitted = await this.gate.admit({
      actor: { userId: 'ada' },
      sessionId: 's',
      name: each.tool,
      isTool: true,
      // Equal for calls that are the same; by the hints the policy knows which it is.
      arguments: {},
      annotations: { id: callId } as ToolAnnotations,
      intent: { eventType: 'tool_execution', sessionId: 's', callId, action: { phase: 'intent' } },
      signal: giveUp.signal,
    });
    if (!admitted.allowed) {
      this.refused.set(callId, admitted.code);
      return;
    }
    if (giveUp.signal.aborted) {
      await admitted.notMade();
      await this.ledger.fact({
        eventType: 'tool_execution',
        callId,
        action: { phase: 'outcome' },
        result: { status: 'cancelled' },
      });
      return;
    }
    expect(this.#intended(callId)).toBe(true);
    this.ran.add(callId);
    await tick();
    await this.ledger.fact({ eventType: 'tool_execution', callId, action: { phase: 'outcome' } });
    await admitted.ended(!each.fails);
  }

  async #giveUp(controller: AbortController, ticks: number): Promise<void> {
    for (let at = 0; at < ticks; at++) await tick();
    controller.abort('given up');
  }

  #intended(id: string): boolean {
    return this.book.events.some(
      ({ callId, action }) => callId === id && action?.phase === 'intent',
    );
  }

  /** Refused calls that have no record of their own, less those that a record counts. */
  unseen(): number {
    const own = new Set<string>();
    let counted = 0;
    for (const { action, callId, details } of this.book.events) {
      if (action?.allowed === false && callId !== undefined) own.add(callId);
      counted += Number(details?.['unrecorded_before'] ?? 0);
      counted += Math.max(0, Number(details?.['refused'] ?? 1) - 1);
    }
    const without = [...this.refused.keys()].filter((id) => !own.has(id));
    return Math.max(0, without.length - counted);
  }

  /** Approvals that are in force though the book does not say that somebody gave them. */
  unrecorded(): string[] {
    const recorded = this.book.events.filter(
      ({ eventType, result }) => eventType === 'gate.approval' && result === undefined,
    );
    const ids = new Set(recorded.map(({ details }) => details?.['approval']));
    return this.book.state.approvals
      .given()
      .map(({ id }) => id)
      .filter((id) => !ids.has(id));
  }

  used(): number {
    let used = 0;
    for (const bucket of this.book.state.limits.buckets()) {
      for (const [, amount] of bucket.used) used = Math.max(used, amount);
    }
    return used;
  }
}

function idIn(call: { annotations?: unknown }): string {
  return (call.annotations as { id: string }).id;
}

test('nothing runs unrecorded, is refused unseen, or keeps a token for nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      const world = new World();
      await world.take(steps);
      expect(world.unseen()).toBe(0);
      expect(world.unrecorded()).toEqual([]);
      // What could not be given back because the log was away counts as spent; so does what was taken by a limit that was replaced meanwhile.
      const failed = steps.some((each) => each.kind === 'fail' && each.failing === 'all');
      const changed = steps.some((each) => each.kind === 'change');
      if (!failed && !changed) expect(Math.round(world.used())).toBe(world.ran.size);
    }),
    { numRuns: runs },
  );
}, 600_000);
