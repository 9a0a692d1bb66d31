import { randomUUID } from 'node:crypto';

/** When a session is stopped; a bound that is left out does not hold. */
export interface BreakerRules {
  /** So many calls in a row may be the same. */
  readonly identicalCalls?: number | undefined;
  /** So many calls in a row may fail. */
  readonly failures?: number | undefined;
  /** So many calls a session may make. */
  readonly calls?: number | undefined;
  /** So long a session may last, from its first call on. */
  readonly wallMs?: number | undefined;
}

export type BreakerWhy = 'identical_calls' | 'failures' | 'calls' | 'wall_time';

export interface BreakerOpen {
  readonly open: true;
  readonly why: BreakerWhy;
  /** The bound that was met. */
  readonly bound: number;
  /** When one call is let through to see; undefined where only a reset helps. */
  readonly retryAfterMs?: number | undefined;
  /** Whether this is the call at which it opened. */
  readonly opens: boolean;
}

/** `probe`: names the call that shows whether a stopped session may go on; whoever makes it says how it went. */
export type BreakerAnswer =
  | { readonly open: false; readonly probe?: string | undefined }
  | BreakerOpen;

/** Sessions it remembers; the one that made no call for the longest time is forgotten first, those that are stopped last. */
export const sessionsMax = 10_000;
const firstPauseMs = 60_000;
const longestPauseMs = 3_600_000;
/** After so long without opening again the pause is short again. */
const calmMs = 3_600_000;
/** After so long without a call, what is counted in a row begins anew: that is no loop. */
const gapMs = 600_000;
/** A probe that nobody tells the end of is given up then. */
const probeMs = 600_000;

/** One session as the next holder must know it; times are what is left or has passed, in ms. */
export interface StoredSession {
  readonly id: string;
  readonly last: string;
  readonly identical: number;
  readonly failures: number;
  readonly calls: number;
  readonly agoMs: number;
  readonly sinceMs: number;
  readonly pauseMs: number;
  readonly open?:
    | { readonly why: BreakerWhy; readonly bound: number; readonly retryAfterMs?: number }
    | undefined;
}

interface Session {
  last: string;
  identical: number;
  failures: number;
  calls: number;
  lastMs: number;
  readonly beganMs: number;
  open: { readonly why: BreakerWhy; readonly bound: number; untilMs: number } | undefined;
  pauseMs: number;
  closedMs: number;
  /** The call that was let through to show whether it may close again. */
  probe: { readonly id: string; readonly sinceMs: number } | undefined;
}

/** Stops sessions that run in a loop: a circuit breaker for each, which opens, lets one call through after a pause, and closes if that went well. */
export class Breaker {
  readonly #now: () => number;
  readonly #sessions = new Map<string, Session>();

  /** `now`: ms of a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A session wants to make a call; `call` is equal for calls that are the same. */
  enter(id: string, call: string, rules: BreakerRules): BreakerAnswer {
    const session = this.#session(id);
    const now = this.#now();
    const waits = this.#stillOpen(session, now);
    if (waits !== undefined) return waits;
    session.calls++;
    if (now - session.lastMs > gapMs) session.failures = 0;
    const same = session.last === call && now - session.lastMs <= gapMs;
    session.lastMs = now;
    session.identical = same ? session.identical + 1 : 1;
    session.last = call;
    // One that is open and gets here is let through to see whether it went on.
    if (session.open !== undefined) return { open: false, probe: session.probe?.id };
    const met = boundMet(session, rules, now);
    return met === undefined ? { open: false } : this.#opened(session, met, now);
  }

  /**
   * A call of the session has ended, or was denied. `probe`: what it was named when it was let through; another one, which was on its
   * way when the session was stopped, says nothing of whether it may go on.
   */
  ended(id: string, success: boolean, probe?: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    session.failures = success ? 0 : session.failures + 1;
    const { open } = session;
    if (open === undefined || probe === undefined || session.probe?.id !== probe) return;
    session.probe = undefined;
    const now = this.#now();
    if (success) {
      session.closedMs = now;
      session.open = undefined;
      return;
    }
    open.untilMs = now + session.pauseMs;
    session.pauseMs = Math.min(longestPauseMs, session.pauseMs * 2);
  }

  /** The probe was not made: another call may be it. */
  unprobed(id: string, probe: string): void {
    const session = this.#sessions.get(id);
    if (session?.probe?.id === probe) session.probe = undefined;
  }

  /** Closes what is open and forgets what was counted, of one session or of all. Returns how many were open. */
  reset(id?: string): number {
    let open = 0;
    for (const [name, session] of this.#sessions) {
      if (id !== undefined && name !== id) continue;
      if (session.open !== undefined) open++;
      this.#sessions.delete(name);
    }
    return open;
  }

  /** The sessions that are stopped. */
  stopped(): {
    readonly session: string;
    readonly why: BreakerWhy;
    readonly retryAfterMs?: number;
  }[] {
    const now = this.#now();
    return [...this.#sessions].flatMap(([session, { open }]) =>
      open === undefined ? [] : [{ session, why: open.why, ...retryOf(open.untilMs, now) }],
    );
  }

  snapshot(): StoredSession[] {
    const now = this.#now();
    return [...this.#sessions].map(([id, session]) => {
      const { last, identical, failures, calls, lastMs, beganMs, pauseMs, open } = session;
      return {
        ...{ id, last, identical, failures, calls, pauseMs },
        agoMs: now - lastMs,
        sinceMs: now - beganMs,
        ...(open === undefined
          ? {}
          : { open: { why: open.why, bound: open.bound, ...retryOf(open.untilMs, now) } }),
      };
    });
  }

  /** Goes on from a snapshot that was taken so long ago. */
  restore(stored: readonly StoredSession[], passedMs: number): void {
    const now = this.#now();
    for (const { id, agoMs, sinceMs, open, ...counts } of stored.slice(-sessionsMax)) {
      const pause = open?.retryAfterMs;
      const untilMs = pause === undefined ? Number.POSITIVE_INFINITY : now + pause - passedMs;
      this.#sessions.set(id, {
        ...counts,
        lastMs: now - passedMs - agoMs,
        beganMs: now - passedMs - sinceMs,
        open: open === undefined ? undefined : { why: open.why, bound: open.bound, untilMs },
        closedMs: now,
        probe: undefined,
      });
    }
  }

  #stillOpen(session: Session, now: number): BreakerOpen | undefined {
    const { open } = session;
    if (open === undefined) return undefined;
    const { why, bound } = open;
    const probing = session.probe !== undefined && now - session.probe.sinceMs < probeMs;
    if (now < open.untilMs || probing) {
      const until = probing ? now + 1_000 : open.untilMs;
      return { open: true, why, bound, opens: false, ...retryOf(until, now) };
    }
    session.probe = { id: randomUUID(), sinceMs: now };
    session.failures = 0;
    return undefined;
  }

  #opened(
    session: Session,
    { why, bound }: { why: BreakerWhy; bound: number },
    now: number,
  ): BreakerOpen {
    if (now - session.closedMs > calmMs) session.pauseMs = firstPauseMs;
    const lasting = why === 'calls' || why === 'wall_time';
    const untilMs = lasting ? Number.POSITIVE_INFINITY : now + session.pauseMs;
    session.open = { why, bound, untilMs };
    session.pauseMs = Math.min(longestPauseMs, session.pauseMs * 2);
    return { open: true, why, bound, opens: true, ...retryOf(untilMs, now) };
  }

  #session(id: string): Session {
    const known = this.#sessions.get(id);
    if (known !== undefined) {
      this.#sessions.delete(id);
      this.#sessions.set(id, known);
      return known;
    }
    this.#makeRoom();
    const session: Session = {
      last: '',
      identical: 0,
      failures: 0,
      calls: 0,
      lastMs: this.#now(),
      beganMs: this.#now(),
      open: undefined,
      pauseMs: firstPauseMs,
      closedMs: Number.NEGATIVE_INFINITY,
      probe: undefined,
    };
    this.#sessions.set(id, session);
    return session;
  }

  #makeRoom(): void {
    if (this.#sessions.size < sessionsMax) return;
    let oldest: string | undefined;
    for (const [id, { open }] of this.#sessions) {
      oldest ??= id;
      if (open !== undefined) continue;
      oldest = id;
      break;
    }
    if (oldest !== undefined) this.#sessions.delete(oldest);
  }
}

function boundMet(
  { identical, failures, calls, beganMs }: Session,
  rules: BreakerRules,
  now: number,
): { why: BreakerWhy; bound: number } | undefined {
  const met = (value: number, bound: number | undefined): bound is number =>
    bound !== undefined && value > bound;
  if (met(calls, rules.calls)) return { why: 'calls', bound: rules.calls };
  if (met(now - beganMs, rules.wallMs)) return { why: 'wall_time', bound: rules.wallMs };
  if (met(identical, rules.identicalCalls)) {
    return { why: 'identical_calls', bound: rules.identicalCalls };
  }
  if (rules.failures !== undefined && failures >= rules.failures) {
    return { why: 'failures', bound: rules.failures };
  }
  return undefined;
}

function retryOf(untilMs: number, now: number): { retryAfterMs?: number } {
  return Number.isFinite(untilMs) ? { retryAfterMs: Math.max(0, untilMs - now) } : {};
}
