import { randomBytes } from 'node:crypto';
import { GateError } from '../errors.js';

/** A call that a person is asked about. */
export interface Question {
  readonly session: string;
  /** Who calls, as one text. */
  readonly actor: string;
  /** `server/tool`, or the tool alone. */
  readonly tool: string;
  /** What the tool's server is, whatever it calls itself; empty where there is none. */
  readonly server: string;
  /** The rule that asks, or of several the one that counts most. */
  readonly rule: string;
  /** All that ask, sorted, `rule` among them. */
  readonly rules: readonly string[];
  /** Hex SHA-256 of the arguments. */
  readonly digest: string;
}

/** What a person is shown. */
export interface Shown {
  readonly risk: string;
  readonly reasons: readonly string[];
  /** The arguments, cut where they are long. */
  readonly text: string;
  /** Length of the whole arguments, in bytes. */
  readonly bytes: number;
  /** The process that wants to make the call. */
  readonly pid: number;
}

export interface Pending extends Question, Shown {
  readonly id: string;
  /** Ms since 1970. */
  readonly askedMs: number;
}

/** A question as it is held. */
interface Held extends Pending {
  /** The clients that have asked it, as they name themselves to the log: only they know these names, and keep them when the holder changes. */
  readonly askers: readonly string[];
}

/** How far a yes reaches: this call once, all that these rules and no others ask of this tool in the session, or until a time. */
export type Reach = 'once' | 'session' | { readonly untilMs: number };

export interface Verdict {
  readonly approved: boolean;
  readonly reach: Reach;
  /** Who answered, as far as it is known. */
  readonly by: string;
  /** `terminal`, `elicitation` or `command`. */
  readonly how: string;
}

export interface Approval extends Question, Verdict {
  readonly id: string;
  readonly givenMs: number;
}

export type QuestionState =
  | { readonly state: 'pending' }
  | { readonly state: 'decided'; readonly approval: Approval }
  | { readonly state: 'gone' };

export interface StoredApprovals {
  readonly pending: readonly (Pending & { readonly askers?: readonly string[] | undefined })[];
  readonly given: readonly Approval[];
}

/** Questions of one session that wait for an answer. */
export const pendingPerSession = 10;
/** Of all sessions. */
export const pendingMax = 1_000;
/** A yes that nobody has used by then, and a question that nobody has answered, is forgotten. */
export const patienceMs = 600_000;
/** Gates that have asked one question, the newest. */
const askersMax = 32;
/** The approvals that are in force. */
const approvalsMax = 10_000;

/** What persons were asked and said. A yes binds what was asked; a no ends the question and nothing else. */
export class Approvals {
  readonly #wall: () => number;
  readonly #pending = new Map<string, Held>();
  readonly #approvals = new Map<string, Approval>();
  /** Those for one call that are used up, and may be given back until they would have been forgotten, or are revoked. */
  readonly #used = new Map<string, Approval>();
  /** Answers that the asker has not heard yet. */
  readonly #decided = new Map<string, Approval>();
  readonly #listeners = new Map<string, Set<() => void>>();

  /** `wall`: ms since 1970. */
  constructor(wall: () => number = Date.now) {
    this.#wall = wall;
  }

  /** The approval that lets this call pass, if there is one. */
  find(question: Question): Approval | undefined {
    this.#expire();
    for (const approval of this.#approvals.values()) {
      if (approval.approved && covers(approval, question)) return approval;
    }
    return undefined;
  }

  /** The call passes by it: one for a single call is used up. */
  use(id: string): void {
    const approval = this.#approvals.get(id);
    if (approval?.reach !== 'once') return;
    this.#approvals.delete(id);
    this.#used.set(id, approval);
    if (this.#used.size <= approvalsMax) return;
    const oldest = this.#used.keys().next();
    if (oldest.done !== true) this.#used.delete(oldest.value);
  }

  /** The call did not pass after all. What was revoked meanwhile stays so. */
  giveBack(id: string): void {
    this.#expire();
    const approval = this.#used.get(id);
    if (approval === undefined) return;
    this.#used.delete(id);
    this.#approvals.set(id, approval);
  }

  /**
   * Asks, or returns the same question where it is asked already. `asker` may answer and withdraw it then.
   *
   * @throws GateError `denied` where too many wait
   */
  ask(question: Question, shown: Shown, asker: string): Pending {
    this.#expire();
    let ofSession = 0;
    for (const pending of this.#pending.values()) {
      if (pending.session !== question.session) continue;
      ofSession++;
      if (sameCall(pending, question)) return this.#askedBy(pending, asker);
    }
    if (ofSession >= pendingPerSession || this.#pending.size >= pendingMax) {
      throw new GateError(
        'denied',
        `${ofSession} calls of this session wait for an approval already; wait until some are answered`,
        { rule: 'gate.pending_bound' },
      );
    }
    const id = randomBytes(5).toString('hex');
    const pending = { ...question, ...shown, id, askedMs: this.#wall() };
    this.#pending.set(id, { ...pending, askers: [asker] });
    return pending;
  }

  #askedBy(held: Held, asker: string): Pending {
    const others = held.askers.filter((each) => each !== asker);
    this.#pending.set(held.id, { ...held, askers: [...others, asker].slice(-askersMax) });
    return plain(held);
  }

  /** Whether somebody else's question waits under the id. */
  isOfOthers(id: string, client: string): boolean {
    const held = this.#pending.get(id);
    return held !== undefined && !held.askers.includes(client);
  }

  /** Nobody waits for the answer any more. */
  withdraw(id: string): void {
    this.#pending.delete(id);
    this.#wake(id);
  }

  /** A person has answered. Undefined where the question is not there any more. */
  decide(id: string, verdict: Verdict): Approval | undefined {
    this.#expire();
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    if (verdict.approved && this.#approvals.size >= approvalsMax) {
      throw new GateError('denied', `${approvalsMax} approvals are in force; reset some`);
    }
    this.#pending.delete(id);
    const approval = approvalOf(pending, verdict, this.#wall());
    this.#decided.set(id, approval);
    if (verdict.approved) this.#approvals.set(id, approval);
    this.#wake(id);
    return approval;
  }

  state(id: string): QuestionState {
    this.#expire();
    if (this.#pending.has(id)) return { state: 'pending' };
    const approval = this.#decided.get(id);
    return approval === undefined ? { state: 'gone' } : { state: 'decided', approval };
  }

  /** As `state`, but waits up to `ms` while it is pending. */
  async news(id: string, ms: number): Promise<QuestionState> {
    const now = this.state(id);
    if (now.state !== 'pending') return now;
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners);
    await new Promise<void>((resolve) => {
      const over = (): void => {
        clearTimeout(timer);
        listeners.delete(over);
        if (listeners.size === 0) this.#listeners.delete(id);
        resolve();
      };
      const timer = setTimeout(over, ms).unref();
      listeners.add(over);
    });
    return this.state(id);
  }

  pending(): Pending[] {
    this.#expire();
    return [...this.#pending.values()].map(plain);
  }

  /** Those in force. */
  given(): Approval[] {
    this.#expire();
    return [...this.#approvals.values()];
  }

  snapshot(): StoredApprovals {
    this.#expire();
    return { pending: [...this.#pending.values()], given: [...this.#approvals.values()] };
  }

  restore({ pending, given }: StoredApprovals): void {
    for (const question of pending.filter(bindsAll).slice(0, pendingMax)) {
      this.#pending.set(question.id, { ...question, askers: question.askers ?? [] });
    }
    for (const approval of given.filter(bindsAll).slice(0, approvalsMax)) {
      this.#approvals.set(approval.id, approval);
    }
    this.#expire();
  }

  /** Takes all approvals back, also those of calls that may not pass after all; questions stay. Returns how many were in force. */
  revoke(): number {
    const count = this.#approvals.size;
    this.#used.clear();
    this.#approvals.clear();
    return count;
  }

  #wake(id: string): void {
    for (const listener of [...(this.#listeners.get(id) ?? [])]) listener();
  }

  #expire(): void {
    const now = this.#wall();
    const old = (ms: number): boolean => now - ms > patienceMs || ms - now > patienceMs;
    for (const [id, { askedMs }] of this.#pending) if (old(askedMs)) this.withdraw(id);
    for (const [id, { givenMs }] of this.#decided) if (old(givenMs)) this.#decided.delete(id);
    for (const [id, { givenMs }] of this.#used) if (old(givenMs)) this.#used.delete(id);
    for (const [id, { reach, givenMs }] of this.#approvals) {
      const over = reach === 'once' ? old(givenMs) : reach !== 'session' && now >= reach.untilMs;
      if (over) this.#approvals.delete(id);
    }
  }
}

/** Without what only the asker may know. */
function plain({ askers: _, ...pending }: Held): Pending {
  return pending;
}

/** A question with its answer. */
export function approvalOf(pending: Pending, verdict: Verdict, givenMs: number): Approval {
  const { id, session, actor, tool, server, rule, rules, digest } = pending;
  return { session, actor, tool, server, rule, rules, digest, id, givenMs, ...verdict };
}

function sameCall(a: Question, b: Question): boolean {
  return (
    a.session === b.session &&
    a.actor === b.actor &&
    a.tool === b.tool &&
    a.server === b.server &&
    a.rule === b.rule &&
    within(a.rules, b.rules) &&
    within(b.rules, a.rules) &&
    a.digest === b.digest
  );
}

function covers(approval: Approval, question: Question): boolean {
  if (approval.actor !== question.actor || approval.tool !== question.tool) return false;
  // Another server may give itself the same name.
  if (approval.server !== question.server) return false;
  const { reach } = approval;
  if (reach === 'once') return sameCall(approval, question);
  // Whoever said yes has seen these rules and no others: one more makes another question.
  if (!within(question.rules, approval.rules)) return false;
  return reach !== 'session' || approval.session === question.session;
}

function within(rules: readonly string[], others: readonly string[]): boolean {
  return rules.length > 0 && rules.every((rule) => others.includes(rule));
}

/** What an older gate has left names one rule only, and not the server: it is not known what else asked, and of whom. */
function bindsAll({ rules, server }: Question): boolean {
  return Array.isArray(rules) && typeof server === 'string';
}
