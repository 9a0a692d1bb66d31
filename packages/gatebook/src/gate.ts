import { AuditError, type AuditEvent } from '@gatebook/audit';
import type { Decision, Policy } from '@gatebook/policy';
import { ask } from './gate/approval.js';
import type { Asker } from './gate/asker.js';
import type { Buckets } from './gate/buckets.js';
import { argumentsDigest, digestOf, type GateCall, nameOf } from './gate/call.js';
import { GateError } from './gate/errors.js';
import {
  admittedEvent,
  deniedEvent,
  givenUpEvent,
  limitedEvent,
  limitText,
  spanText,
  stoppedText,
  undecidedEvent,
} from './gate/events.js';
import { LimitQueue } from './gate/limit-queue.js';
import { withPin } from './gate/pin.js';
import { type Refused, refused } from './gate/refused.js';
import type { Approval } from './gate/state/approvals.js';
import type { BreakerAnswer, BreakerOpen, BreakerRules } from './gate/state/breaker.js';
import {
  type Ask,
  type LimitAnswer,
  memberCharsMax,
  type SharedRequest,
} from './gate/state/message.js';
import type { StateClient } from './gate/state/state-client.js';
import { Stops } from './gate/stops.js';
import { reasonOf } from './mcp/ledger.js';

/** What of the book a gate needs. */
export interface GateBook {
  /** Records what must be on disk before something happens. Returns why it must not happen, or undefined. */
  intent(event: AuditEvent): Promise<string | undefined>;
  /** Records what has happened. Returns whether it was recorded. */
  fact(event: AuditEvent): Promise<boolean>;
  /** How many records are missing, as far as it is known. */
  readonly missing: number;
}

/** What may change while a gate runs. */
export interface GateRules {
  /** Decides on calls; without one all are allowed. */
  readonly policy?: Policy | undefined;
  /** When a session is stopped; never by default. */
  readonly breaker?: BreakerRules | undefined;
  /** How long a call waits for a limit; it is refused at once by default. */
  readonly waitMs?: number | undefined;
  /** How long a call waits for a person; 45 s by default. */
  readonly approvalMs?: number | undefined;
  /** The guards that the operator has switched off. */
  readonly notEnforced?: readonly string[] | undefined;
}

export interface GateParts {
  readonly book: GateBook;
  readonly state: StateClient;
  /** Where the limits are counted; by the state by default. */
  readonly buckets?: Buckets | undefined;
  readonly ask: Asker;
}

/** A call that may be made: its intent is recorded. */
export interface Admitted {
  readonly allowed: true;
  /** What is left in the tightest limit; null without any. */
  readonly remaining: number | null;
  /** The call has ended. Resolves when the others know. */
  ended(success: boolean): Promise<void>;
  /** It was not made after all: what it took is given back. */
  notMade(): Promise<void>;
}

/** What a call has on its way. */
interface Way {
  /** It shows whether a stopped session may go on; undefined once that is settled. */
  probe?: string | undefined;
}

/** The one way of every call: who refuses what, in which order, and what is recorded of it. */
export class Gate {
  readonly #book: GateBook;
  readonly #state: StateClient;
  readonly #buckets: Buckets;
  readonly #ask: Asker;
  #rules: GateRules;
  readonly #queue: LimitQueue;
  readonly #stops: Stops;

  constructor({ book, state, ask, buckets = state }: GateParts, rules: GateRules) {
    this.#book = book;
    this.#state = state;
    this.#buckets = buckets;
    this.#ask = ask;
    this.#rules = rules;
    this.#queue = new LimitQueue(buckets);
    this.#stops = new Stops(book);
  }

  /** Other rules from now on; calls that are on their way keep to those they met. */
  change(rules: GateRules): void {
    this.#rules = rules;
  }

  /** Whether the call may be made. Never throws; whatever goes wrong refuses. */
  async admit(call: GateCall): Promise<Admitted | Refused> {
    const way: Way = {};
    try {
      const answer = await this.#admit(call, this.#rules, way);
      if (!answer.allowed) await this.#unprobed(call, way);
      return answer;
    } catch (error) {
      await this.#unprobed(call, way);
      const reason = reasonOf(error);
      await this.#book.fact(undecidedEvent(call.intent, reason));
      if (error instanceof GateError) return refused(error.code, reason, { rule: error.rule });
      if (error instanceof AuditError && !stateFaults.has(error.code)) {
        return refused('log_unavailable', unrecordedText(reason));
      }
      return refused('state_unavailable', `it could not be decided on (${reason})`);
    }
  }

  async #admit(call: GateCall, rules: GateRules, way: Way): Promise<Admitted | Refused> {
    const digest = argumentsDigest(call);
    const pinned = call.pin?.();
    // Its failure is met where it is awaited, which may be later.
    pinned?.catch(() => undefined);
    const joint = pinned === undefined && this.#isJoint(rules);
    const early = joint ? rules.policy?.decide(policyCall(call)) : undefined;
    if (joint && (early === undefined || early.decision === 'allow')) {
      return await this.#admitJoint(call, digest, rules, way, early);
    }

    const stopped = await this.#breaker(call, digest, rules.breaker, way);
    if (stopped !== undefined) return stopped;

    const pin = pinned === undefined ? undefined : await pinned;
    const decision = withPin(pin, early ?? rules.policy?.decide(policyCall(call)));
    if (decision?.decision === 'deny') return await this.#denied(call, decision, way);

    let approval: Approval | undefined;
    if (decision?.decision === 'ask') {
      const peeked = this.#buckets.hasLimits
        ? await this.#buckets.peek(requestOf(call))
        : undefined;
      if (peeked?.allowed === false && rules.waitMs === undefined) {
        return await this.#limited(call, peeked);
      }
      const parts = { book: this.#book, state: this.#state, ask: call.ask ?? this.#ask };
      const asked = await ask(parts, call, decision, digest, rules.approvalMs ?? approvalMsDefault);
      if ('allowed' in asked) {
        // A person's no: who has not answered has denied nothing.
        if (asked.code === 'denied') void this.#ended(call, false, way);
        return asked;
      }
      await pin?.accept();
      approval = asked;
    }

    const taken = await this.#take(call, approval, rules.waitMs);
    if (taken === undefined) return await this.#givenUp(call);
    return await this.#taken(call, rules, way, taken, decision, approval);
  }

  /** Whether the breaker and the limits can be asked in one message: nothing comes between them but the policy, which asks nobody. */
  #isJoint({ breaker, waitMs }: GateRules): boolean {
    const { hasLimits } = this.#buckets;
    return (
      this.#buckets === this.#state && hasLimits && breaker !== undefined && waitMs === undefined
    );
  }

  /** What the policy allows. */
  async #admitJoint(
    call: GateCall,
    digest: string,
    rules: GateRules,
    way: Way,
    decision: Decision | undefined,
  ): Promise<Admitted | Refused> {
    const entry = entryOf(call, digest, rules.breaker ?? {});
    const { entered, taken } = await this.#state.admit(entry, requestOf(call));
    const stopped = await this.#entered(call, entered, way);
    if (stopped !== undefined) return stopped;
    if (taken === undefined) throw new GateError('bad_message', 'the limits were not asked');
    return await this.#taken(call, rules, way, taken, decision);
  }

  /** The limits have answered. */
  async #taken(
    call: GateCall,
    rules: GateRules,
    way: Way,
    taken: LimitAnswer,
    decision: Decision | undefined,
    approval?: Approval,
  ): Promise<Admitted | Refused> {
    if (!taken.allowed) return await this.#limited(call, taken);
    const giveBack = async (): Promise<void> => {
      if (taken.grant !== undefined) await this.#tell(this.#buckets.refund(taken.grant));
    };
    if (call.signal.aborted) {
      await giveBack();
      return await this.#givenUp(call);
    }

    const remaining = taken.remaining;
    const notEnforced = rules.notEnforced ?? [];
    const intent = admittedEvent(call.intent, decision, remaining, approval?.id, notEnforced);
    let failure: string | undefined;
    try {
      call.onIntent?.();
      failure = await this.#book.intent(intent);
    } catch (error) {
      await giveBack();
      throw error;
    }
    if (failure !== undefined) {
      await giveBack();
      return refused('log_unavailable', unrecordedText(failure));
    }
    return {
      allowed: true,
      remaining,
      ended: (success) => this.#ended(call, success, way, taken.grant),
      notMade: async () => {
        await giveBack();
        await this.#unprobed(call, way);
      },
    };
  }

  async #breaker(
    call: GateCall,
    digest: string,
    rules: BreakerRules | undefined,
    way: Way,
  ): Promise<Refused | undefined> {
    if (rules === undefined) {
      void this.#tell(this.#state.hello());
      return undefined;
    }
    return await this.#entered(
      call,
      await this.#state.ask('enter', entryOf(call, digest, rules)),
      way,
    );
  }

  async #entered(call: GateCall, entered: BreakerAnswer, way: Way): Promise<Refused | undefined> {
    if (!entered.open) {
      way.probe = entered.probe;
      return undefined;
    }
    await this.#stops.record(call.intent, entered);
    return refused('breaker_open', stopText(entered), {
      rule: `breaker.${entered.why}`,
      retryAfterMs: entered.retryAfterMs,
    });
  }

  async #denied(call: GateCall, decision: Decision, way: Way): Promise<Refused> {
    await this.#book.fact(deniedEvent(call.intent, decision));
    void this.#ended(call, false, way);
    const { rule, reasons } = decision;
    const why = reasons.length === 0 ? '' : ` (${reasons[0]})`;
    const text = `the policy denies it by \`${rule}\`${why}; do not retry it, nor the same in other words`;
    return refused('denied', text, { rule });
  }

  async #take(
    call: GateCall,
    approval: Approval | undefined,
    waitMs: number | undefined,
  ): Promise<LimitAnswer | undefined> {
    if (!this.#buckets.hasLimits && approval === undefined) return unlimited;
    const request = requestOf(call);
    if (waitMs === undefined) return await this.#buckets.take(request, approval?.id);
    return await this.#queue.take(request, approval?.id, waitMs, call.signal);
  }

  async #limited(call: GateCall, answer: LimitAnswer): Promise<Refused> {
    await this.#book.fact(limitedEvent(call.intent, answer));
    return refused('rate_limited', limitText(answer), {
      rule: `limit.${answer.by}`,
      retryAfterMs: answer.retryAfterMs ?? undefined,
    });
  }

  async #givenUp(call: GateCall): Promise<Refused> {
    const why = `${String(call.signal.reason)} while it waited for a limit`;
    await this.#book.fact(givenUpEvent(call.intent, 'limit', why));
    return refused('cancelled', why);
  }

  async #ended(call: GateCall, success: boolean, way: Way, grant?: string): Promise<void> {
    const { probe } = way;
    way.probe = undefined;
    const held = grant === undefined ? undefined : this.#buckets.spent(grant);
    const isCounted = this.#rules.breaker !== undefined || probe !== undefined;
    if (held === undefined && !isCounted) return;
    await this.#tell(
      this.#state.ask('ended', {
        session: call.sessionId,
        success,
        ...(held === undefined ? {} : { grant: held }),
        ...(probe === undefined ? {} : { probe }),
      }),
    );
  }

  /** A call that is not made shows nothing: where it was to show whether its session may go on, another one does. */
  async #unprobed({ sessionId: session }: GateCall, way: Way): Promise<void> {
    const { probe } = way;
    way.probe = undefined;
    if (probe !== undefined) await this.#tell(this.#state.ask('unprobed', { session, probe }));
  }

  /** What cannot be told counts as spent. */
  async #tell(telling: Promise<unknown>): Promise<void> {
    await telling.catch(() => undefined);
  }

  /** Records what was only counted so far. Where every call has its outcome, the others need not look for them. */
  async close(): Promise<void> {
    await this.#stops.flush();
    await this.#buckets.close();
    if (this.#book.missing === 0) await this.#tell(this.#state.bye());
  }
}

const approvalMsDefault = 45_000;

/** The log works, but not what the gates share by it. */
const stateFaults: ReadonlySet<string> = new Set(['hook_failed', 'no_hook', 'unknown_outcome']);

function unrecordedText(reason: string): string {
  return `it could not be recorded in the audit log (${reason})`;
}

const unlimited: LimitAnswer = {
  allowed: true,
  by: '',
  remaining: null,
  limit: null,
  retryAfterMs: 0,
};

function entryOf(call: GateCall, digest: string, rules: BreakerRules): Ask<'enter'> {
  const same = `${nameOf(call)} ${digest}`.slice(-512);
  return { session: call.sessionId, call: same, rules };
}

function policyCall(call: GateCall): Parameters<Policy['decide']>[0] {
  const { actor, server, name: tool, annotations } = call;
  return {
    actor: actor.agent ?? actor.userId,
    tool,
    server,
    arguments: call.arguments,
    annotations,
  };
}

function requestOf(call: GateCall): SharedRequest {
  const { channel, userId } = call.actor;
  return {
    actor: bounded(userId),
    channel: bounded(channel),
    session: bounded(call.sessionId),
    tool: call.isTool ? bounded(call.name) : undefined,
  };
}

/** What limits are counted by is kept; of a longer text its beginning, and what tells it from others. */
function bounded(text: string | undefined): string | undefined {
  if (text === undefined || text.length <= memberCharsMax) return text;
  return `${text.slice(0, memberCharsMax / 2)}#${digestOf(text)}`;
}

function stopText({ why, bound, retryAfterMs }: BreakerOpen): string {
  const what = `this session is stopped: ${stoppedText(why, bound)}. End the loop and tell the user`;
  if (retryAfterMs === undefined) return `${what}; only \`gatebook limits reset\` lets it go on`;
  return `${what}; another call is let through in ${spanText(retryAfterMs)}`;
}
