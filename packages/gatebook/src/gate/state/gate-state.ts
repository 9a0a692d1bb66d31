import { randomBytes } from 'node:crypto';
import type { Caller } from '@gatebook/audit';
import type { Decision, Grant } from '@gatebook/ratelimit';
import { limitAnswer } from '../buckets.js';
import { GateError } from '../errors.js';
import { type Approval, Approvals, type StoredApprovals } from './approvals.js';
import { Breaker, type StoredSession } from './breaker.js';
import {
  type Answer,
  type Ask,
  type Done,
  type LimitAnswer,
  type Message,
  type Op,
  readMessage,
  type StateError,
  type UnknownLimits,
} from './message.js';
import { Pins } from './pins.js';
import { type LimitsSnapshot, SharedLimits, type SharedLimitsOptions } from './shared-limits.js';

/** What one process took that may be given back, of the newest so many; older ones stay taken. */
export const grantsMax = 4_096;
/** How long a question is looked at before it is answered that there is no news: less than a message may take. */
const newsMs = 1_500;

/** What the next holder must know, as plain data. */
export interface StateSnapshot {
  /** Ms since 1970. */
  readonly wallMs: number;
  readonly limits: LimitsSnapshot;
  readonly sessions: readonly StoredSession[];
  readonly approvals: StoredApprovals;
}

interface Held {
  readonly grant: Grant;
  readonly approval: Approval | undefined;
}

/** One process that asks. */
interface Guest {
  readonly pid: number;
  readonly emitter: string | undefined;
  readonly grants: Map<string, Held>;
}

/** What is known of a process that has gone. */
export interface Left {
  /** It had not said that it was done, so calls of its may lack an outcome. */
  readonly unsure: boolean;
  /** The name its token proved, where nobody else has it. */
  readonly emitter: string | undefined;
}

/** What all gates over one log share, in the process that writes the log. */
export class GateState {
  readonly limits: SharedLimits;
  readonly breaker = new Breaker();
  readonly approvals = new Approvals();
  readonly pins = new Pins();
  /** Why nobody can answer by `gatebook approve`, where it is so. */
  unreachable: string | undefined;
  /** Before the numbers of grants: what another holder granted is nothing here. */
  readonly #name = randomBytes(9).toString('base64url');
  #granted = 0;
  readonly #guests = new Map<string, Guest>();

  constructor(options: SharedLimitsOptions = {}) {
    this.limits = new SharedLimits(options);
  }

  /** A GateError is an answer too, and thrown again where it was asked. */
  answer(text: string, from: Caller): string | Promise<string> {
    try {
      const answer = this.#handle(readMessage(text), from);
      return answer instanceof Promise ? answer.then(jsonOf) : jsonOf(answer);
    } catch (error) {
      if (!(error instanceof GateError)) throw error;
      const { code, message, rule } = error;
      return jsonOf({ error: { code, message, ...(rule === undefined ? {} : { rule }) } });
    }
  }

  /** A process has gone. What it took stays taken; its questions stay too, for the next identical call. */
  left({ client, emitter }: Caller): Left {
    const unsure = this.#guests.delete(client);
    const others = [...this.#guests.values()].some((guest) => guest.emitter === emitter);
    return { unsure, emitter: others ? undefined : emitter };
  }

  /** Whether there are gates that have not said that they are done. */
  get hasGates(): boolean {
    return this.#guests.size > 0;
  }

  /** The ids of the processes that have a gate, as they say. */
  gates(): number[] {
    return [...new Set([...this.#guests.values()].map(({ pid }) => pid))];
  }

  snapshot(): StateSnapshot {
    return {
      wallMs: Date.now(),
      limits: this.limits.snapshot(),
      sessions: this.breaker.snapshot(),
      approvals: this.approvals.snapshot(),
    };
  }

  /** Goes on from a snapshot, at the beginning. */
  restore({ wallMs, limits, sessions, approvals }: StateSnapshot): void {
    this.limits.restore(limits);
    this.breaker.restore(sessions, Math.max(0, Date.now() - wallMs));
    this.approvals.restore(approvals);
  }

  #handle(message: Message, from: Caller): Answer<Op> | Promise<Answer<Op>> {
    const guest = this.#guestOf(from);
    switch (message.op) {
      case 'hello':
        return done;
      case 'bye':
        this.#guests.delete(from.client);
        return done;
      case 'limits':
        return { id: this.limits.register(message.specs, message.replaces) };
      case 'enter':
        return this.breaker.enter(message.session, message.call, message.rules);
      case 'ended':
        this.breaker.ended(message.session, message.success, message.probe);
        if (message.grant !== undefined) guest.grants.delete(message.grant);
        return done;
      case 'unprobed':
        this.breaker.unprobed(message.session, message.probe);
        return done;
      case 'take':
        return this.#take(message, guest);
      case 'peek':
        if (!this.limits.knows(message.limits)) return unknown;
        return this.#plain(this.limits.peek(message.limits, message.request));
      case 'refund':
        this.#refund(message.grant, guest);
        return done;
      case 'find':
        return { approval: this.approvals.find(message.question) };
      case 'ask': {
        const shown = { ...message.shown, pid: from.pid };
        const { id } = this.approvals.ask(message.question, shown, from.client);
        return { id, unreachable: this.unreachable };
      }
      case 'news':
        return this.approvals.news(message.id, newsMs);
      case 'decide':
        this.#requireOwn(message.id, from);
        return { approval: this.approvals.decide(message.id, message.verdict) };
      case 'withdraw':
        this.#requireOwn(message.id, from);
        this.approvals.withdraw(message.id);
        return done;
      case 'pins':
        return this.pins.see(message.server, message.tools, message.complete);
      case 'pinned':
        return this.pins.list(message.server, message.from);
      case 'gonePins':
        this.pins.gone(message.server, message.tools);
        return done;
      case 'acceptPin':
        this.pins.accept(message.server, message.tool, message.hash);
        return done;
    }
  }

  #take({ limits, request, approval }: Ask<'take'>, guest: Guest): LimitAnswer | UnknownLimits {
    if (!this.limits.knows(limits)) return unknown;
    const given = this.approvals.given().find(({ id }) => id === approval);
    if (approval !== undefined && given === undefined) {
      throw new GateError('denied', 'the approval is not in force any more; ask again');
    }
    const answer = this.limits.take(limits, request);
    if (!answer.allowed) return this.#plain(answer);
    if (given !== undefined) this.approvals.use(given.id);
    const grant = `${this.#name}.${++this.#granted}`;
    guest.grants.set(grant, { grant: answer, approval: given });
    if (guest.grants.size > grantsMax) {
      const oldest = guest.grants.keys().next();
      if (oldest.done !== true) guest.grants.delete(oldest.value);
    }
    return { ...this.#plain(answer), grant };
  }

  #refund(grant: string, guest: Guest): void {
    const held = guest.grants.get(grant);
    guest.grants.delete(grant);
    held?.grant.refund();
    if (held?.approval !== undefined) this.approvals.giveBack(held.approval.id);
  }

  #requireOwn(question: string, { client }: Caller): void {
    if (!this.approvals.isOfOthers(question, client)) return;
    throw new GateError('denied', 'only who asked a question may answer or withdraw it here');
  }

  #guestOf({ client, pid, emitter }: Caller): Guest {
    let guest = this.#guests.get(client);
    if (guest === undefined) {
      guest = { pid, emitter, grants: new Map() };
      this.#guests.set(client, guest);
    }
    return guest;
  }

  #plain(decision: Decision): LimitAnswer {
    return limitAnswer(decision, this.limits.nameOf(decision));
  }
}

function jsonOf(answer: Answer<Op> | { readonly error: StateError }): string {
  return JSON.stringify(answer);
}

const done: Done = {};
const unknown: UnknownLimits = { unknown: true };
