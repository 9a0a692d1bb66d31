import { randomBytes } from 'node:crypto';
import type { Caller } from '@gatebook/audit';
import {
  type Clock,
  type Decision,
  type Grant,
  type LimitRequest,
  systemClock,
} from '@gatebook/ratelimit';
import { limitAnswer } from '../buckets.js';
import { GateError } from '../errors.js';
import { isThere } from '../process-facts.js';
import { type Approval, Approvals, type StoredApprovals } from './approvals.js';
import { Breaker, type StoredSession } from './breaker.js';
import { CallsUnderWay, type CallUnderWay, permitMs } from './calls-under-way.js';
import {
  type Admission,
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
  /** What is in flight. */
  readonly calls?: readonly CallUnderWay[] | undefined;
}

interface Held {
  readonly grant: Grant;
  readonly approval: Approval | undefined;
  /** The configuration whose limits it met. */
  readonly limits: string;
  readonly request: LimitRequest;
  /** The limits of what is in flight that it met. */
  own: readonly string[];
  /** The configuration that took the place of that one, and what it has in the limits of those that did. */
  now: string;
  more: readonly Pick<Grant, 'release'>[];
  /** Until when it counts as in flight, unless its gate says so again. */
  untilMs: number;
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

export interface GateStateOptions extends SharedLimitsOptions {
  /** Whether a process runs; looked up by default. */
  readonly isThere?: ((pid: number) => boolean) | undefined;
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
  /** Before that nothing lapses of what is in flight. */
  #lapseMs = Number.POSITIVE_INFINITY;
  readonly #guests = new Map<string, Guest>();
  /** Of earlier holders. */
  readonly #calls: CallsUnderWay;
  readonly #clock: Clock;
  readonly #isThere: (pid: number) => boolean;

  constructor(options: GateStateOptions = {}) {
    this.#isThere = options.isThere ?? isThere;
    this.#clock = options.clock ?? systemClock;
    this.limits = new SharedLimits(options);
    this.#calls = new CallsUnderWay(this.#clock);
  }

  /** A GateError is an answer too, and thrown again where it was asked. */
  answer(text: string, from: Caller): string | Promise<string> {
    try {
      const answer = this.handle(readMessage(text), from);
      return answer instanceof Promise ? answer.then(jsonOf) : jsonOf(answer);
    } catch (error) {
      if (!(error instanceof GateError)) throw error;
      const { code, message, rule } = error;
      return jsonOf({ error: { code, message, ...(rule === undefined ? {} : { rule }) } });
    }
  }

  /**
   * A process has gone. What it took stays taken; its questions stay, for the next identical call. What it had in flight has ended, unless the
   * process is there and only cannot be heard.
   */
  left({ client, emitter }: Caller): Left {
    const guest = this.#guests.get(client);
    if (guest !== undefined && this.#isThere(guest.pid)) this.#keep(guest);
    const unsure = this.#forget(client);
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
      calls: [...this.#calls.list(), ...this.#inFlight()],
    };
  }

  #inFlight(): CallUnderWay[] {
    return [...this.#guests.values()].flatMap(({ grants }) =>
      [...grants].flatMap(([grant, { own, request }]) =>
        own.length === 0 ? [] : [{ grant, own, request }],
      ),
    );
  }

  /** What it has in flight counts on, as that of another holder does. */
  #keep({ grants }: Guest): void {
    for (const [grant, call] of grants) {
      const { own, request } = call;
      if (own.length === 0) continue;
      const held = { grant, own, request };
      // Where there is no room for more of them, it has ended for all that is known here.
      if (!this.#calls.hasRoom) return;
      this.#calls.hold(held, () => ({ release: () => release(call) }));
      grants.delete(grant);
    }
  }

  /** Whether there was such a process. */
  #forget(client: string): boolean {
    for (const held of this.#guests.get(client)?.grants.values() ?? []) release(held);
    return this.#guests.delete(client);
  }

  /** Goes on from a snapshot, at the beginning. */
  restore({ wallMs, limits, sessions, approvals, calls = [] }: StateSnapshot): void {
    this.limits.restore(limits);
    for (const call of calls) {
      this.#calls.hold(call, (own) => this.limits.resume(own, call.request));
    }
    this.breaker.restore(sessions, Math.max(0, Date.now() - wallMs));
    this.approvals.restore(approvals);
  }

  /** @throws GateError, an answer too */
  handle(message: Message, from: Caller): Answer<Op> | Promise<Answer<Op>> {
    const guest = this.#guestOf(from);
    switch (message.op) {
      case 'hello':
        return done;
      case 'bye':
        this.#forget(from.client);
        return done;
      case 'limits':
        return { id: this.#register(message, guest) };
      case 'holding':
        return this.#holding(message, guest);
      case 'enter':
        return this.breaker.enter(message.session, message.call, message.rules);
      case 'ended':
        this.breaker.ended(message.session, message.success, message.probe);
        if (message.grant !== undefined) this.#ended(message.grant, guest);
        return done;
      case 'unprobed':
        this.breaker.unprobed(message.session, message.probe);
        return done;
      case 'admit':
        return this.#admit(message, guest);
      case 'take':
        return this.#take(message, guest);
      case 'peek':
        if (!this.limits.knows(message.limits)) return unknown;
        this.#lapse();
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

  #admit(message: Ask<'admit'>, guest: Guest): Admission | UnknownLimits {
    // Before it enters, which counts: it will ask again.
    if (!this.limits.knows(message.limits)) return unknown;
    const entered = this.breaker.enter(message.session, message.call, message.rules);
    if (entered.open) return { entered };
    try {
      const taken = this.#take(message, guest);
      return 'unknown' in taken ? taken : { entered, taken };
    } catch (error) {
      if (entered.probe !== undefined) this.breaker.unprobed(message.session, entered.probe);
      throw error;
    }
  }

  #take({ limits, request, approval }: Ask<'take'>, guest: Guest): LimitAnswer | UnknownLimits {
    if (!this.limits.knows(limits)) return unknown;
    const given =
      approval === undefined ? undefined : this.approvals.given().find(({ id }) => id === approval);
    if (approval !== undefined && given === undefined) {
      throw new GateError('denied', 'the approval is not in force any more; ask again');
    }
    this.#lapse();
    const own = this.limits.inFlightOf(limits, request);
    if (guest.grants.size >= grantsMax && own.length > 0) makeRoom(guest);
    const answer = this.limits.take(limits, request);
    if (!answer.allowed) return this.#plain(answer);
    if (given !== undefined) this.approvals.use(given.id);
    const grant = `${this.#name}.${++this.#granted}`;
    const untilMs = this.#clock.now() + permitMs;
    const held: Held = {
      grant: answer,
      approval: given,
      limits,
      request,
      own,
      now: limits,
      more: [],
      untilMs,
    };
    guest.grants.set(grant, held);
    if (own.length > 0) this.#lapseMs = Math.min(this.#lapseMs, untilMs);
    if (guest.grants.size > grantsMax) dropOldest(guest);
    return { ...this.#plain(answer), grant };
  }

  /** What nobody has spoken of for too long is not in flight any more: its gate may not even know that it was let through. */
  #lapse(): void {
    this.#calls.lapse();
    const now = this.#clock.now();
    if (now < this.#lapseMs) return;
    this.#lapseMs = Number.POSITIVE_INFINITY;
    for (const { grants } of this.#guests.values()) {
      for (const [grant, held] of grants) {
        if (held.own.length === 0) continue;
        if (held.untilMs > now) {
          this.#lapseMs = Math.min(this.#lapseMs, held.untilMs);
          continue;
        }
        grants.delete(grant);
        release(held);
      }
    }
  }

  #refund(grant: string, guest: Guest): void {
    const held = guest.grants.get(grant);
    if (held === undefined) {
      this.#calls.end(grant);
      return;
    }
    guest.grants.delete(grant);
    release(held);
    held.grant.refund();
    if (held.approval !== undefined) this.approvals.giveBack(held.approval.id);
    this.limits.count(held.limits, held.request);
  }

  #ended(grant: string, guest: Guest): void {
    const held = guest.grants.get(grant);
    if (held === undefined) this.#calls.end(grant);
    else release(held);
    guest.grants.delete(grant);
  }

  /** What the gate has in flight by the limits that are replaced is so by the new ones. */
  #register({ specs, replaces }: Ask<'limits'>, guest: Guest): string {
    const id = this.limits.register(specs, replaces);
    if (replaces === undefined || replaces === id) return id;
    for (const held of guest.grants.values()) {
      if (held.now !== replaces) continue;
      held.now = id;
      this.#add(held, id);
    }
    return id;
  }

  /** A call is in flight by these limits too, and has just been spoken of. */
  #add(held: Held, limits: string): void {
    held.untilMs = this.#clock.now() + permitMs;
    const met = this.limits.inFlightOf(limits, held.request);
    const own = met.filter((each) => !held.own.includes(each));
    if (own.length > 0) {
      held.own = [...held.own, ...own];
      held.more = [...held.more, this.limits.resume(own, held.request)];
    }
    if (held.own.length > 0) this.#lapseMs = Math.min(this.#lapseMs, held.untilMs);
  }

  /** Calls that are under way, perhaps since before this one held. */
  #holding({ limits, calls }: Ask<'holding'>, guest: Guest): Done | UnknownLimits {
    if (!this.limits.knows(limits)) return unknown;
    for (const { grant, request } of calls) {
      const held = guest.grants.get(grant);
      if (held !== undefined) {
        this.#add(held, limits);
        continue;
      }
      const own = this.limits.inFlightOf(limits, request);
      this.#calls.hold({ grant, own, request }, (more) => this.limits.resume(more, request));
    }
    return done;
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

/** Gives back what a call has of what may be in flight. */
function release({ grant, more }: Held): void {
  grant.release();
  for (const each of more) each.release();
}

/** Of what a process took, the oldest can no more be given back; what is in flight must be. */
function dropOldest({ grants }: Guest): void {
  for (const [grant, { own }] of grants) {
    if (own.length > 0) continue;
    grants.delete(grant);
    return;
  }
}

/** @throws GateError where all that a process took is in flight */
function makeRoom(guest: Guest): void {
  dropOldest(guest);
  if (guest.grants.size < grantsMax) return;
  throw new GateError('too_many_limits', `more than ${grantsMax} calls of one gate are in flight`);
}

function jsonOf(answer: Answer<Op> | { readonly error: StateError }): string {
  return JSON.stringify(answer);
}

const done: Done = {};
const unknown: UnknownLimits = { unknown: true };
