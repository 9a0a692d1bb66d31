import type { AuditEvent } from '@gatebook/audit';
import { stoppedEvent } from './events.js';
import type { BreakerOpen } from './state/breaker.js';

interface Counted {
  readonly intent: AuditEvent;
  readonly answer: BreakerOpen;
  readonly refused: number;
  /** Records it where no refusal does so before: a gate that is killed must not take much with it. */
  readonly timer: NodeJS.Timeout;
}

/** While a session is stopped, its refused calls are one record in so many ms, with their count. */
const everyMs = 10_000;
/** Sessions of one gate that are counted at a time; beyond, each refusal is a record. */
const sessionsMax = 1_000;

/** The records of calls that were refused because their session is stopped: a loop must not fill the book. */
export class Stops {
  readonly #book: { fact(event: AuditEvent): Promise<boolean> };
  readonly #counted = new Map<string, Counted>();
  readonly #recordedMs = new Map<string, number>();

  constructor(book: { fact(event: AuditEvent): Promise<boolean> }) {
    this.#book = book;
  }

  /** Counts a refusal, and records it where it is time. */
  async record(intent: AuditEvent, answer: BreakerOpen): Promise<void> {
    const session = intent.sessionId ?? '';
    const now = performance.now();
    const last = this.#recordedMs.get(session);
    const before = this.#counted.get(session);
    const refused = (before?.refused ?? 0) + 1;
    if (last !== undefined && now - last < everyMs && !answer.opens) {
      const timer = before?.timer ?? setTimeout(() => this.#late(session), everyMs).unref();
      this.#counted.set(session, { intent, answer, refused, timer });
      return;
    }
    clearTimeout(before?.timer);
    this.#counted.delete(session);
    if (this.#recordedMs.size >= sessionsMax) await this.flush();
    this.#recordedMs.set(session, now);
    await this.#book.fact(stoppedEvent(intent, answer, refused));
  }

  #late(session: string): void {
    const counted = this.#counted.get(session);
    if (counted === undefined) return;
    this.#counted.delete(session);
    this.#recordedMs.set(session, performance.now());
    const { intent, answer, refused } = counted;
    // What cannot be recorded the book counts.
    void this.#book.fact(stoppedEvent(intent, answer, refused)).catch(() => undefined);
  }

  /** Records what was counted only. */
  async flush(): Promise<void> {
    const counted = [...this.#counted.values()];
    this.#counted.clear();
    this.#recordedMs.clear();
    for (const { intent, answer, refused, timer } of counted) {
      clearTimeout(timer);
      await this.#book.fact(stoppedEvent(intent, answer, refused));
    }
  }
}
