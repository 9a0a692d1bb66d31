import { AuditError, type AuditEvent } from '@gatebook/audit';
import { type Recording, recordAll, switchedOff } from '../recording.js';

/** What the relay needs of a log. */
export interface Book {
  append(event: AuditEvent): Promise<unknown>;
  consult(message: string): Promise<{ readonly answer: string }>;
  drained(): Promise<void>;
  close(): Promise<void>;
}

export type OnLogFailure = 'refuse' | 'allow';

export interface LedgerOptions {
  readonly open: () => Promise<Book>;
  readonly onLogFailure: OnLogFailure;
  /** What is recorded, as it is now; everything by default. */
  readonly recording?: (() => Recording) | undefined;
  /** Takes one line for the operator, without newline. */
  readonly report: (line: string) => void;
  /** Least time between two attempts to open the log again; default 1000. */
  readonly reopenAfterMs?: number;
}

/** Errors of the event, not of the log: the next event may be recorded all the same. */
const eventFaults: ReadonlySet<string> = new Set([
  'cycle',
  'bigint',
  'unsafe_integer',
  'not_finite',
  'lone_surrogate',
  'prototype_key',
  'not_json',
  'too_large',
  'too_deep',
  'unknown_type',
  'unknown_member',
  'missing_member',
  'wrong_type',
]);

/** After these the log that is open will not take anything any more; most come when its writer ended and no other began. */
const endOfLog: ReadonlySet<string> = new Set([
  'log_failed',
  'log_closed',
  'log_locked',
  'log_damaged',
  'log_rolled_back',
  'wrong_log',
  'keys_missing',
  'keys_unsafe',
  'bad_socket',
  'bad_token',
  'protocol_mismatch',
  'bad_option',
]);

/** What keeps a log from being opened now and may end by itself. */
const mayComeBack: ReadonlySet<string> = new Set(['log_locked', 'log_unavailable']);

const offKey = 'security.audit.enabled';

/** How often one outcome waits for room in the log's queue before it is given up. */
const roomTriesMax = 100;

/**
 * The log as the relay sees it: it may fail, be held by a process that does not answer, and come back. Knows whether it fails,
 * says so once per failure, and marks the first record after a failure with what is missing before it.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #reopenAfterMs: number;
  readonly #recording: () => Recording;
  #book: Book | undefined;
  #opening: Promise<void> | undefined;
  #lastError: unknown;
  #lastTryMs = Number.NEGATIVE_INFINITY;
  #failing = false;
  #missing = 0;
  /** While a record is on its way that says what is missing before it: if that fails, the next one has to say it. */
  #marking: Promise<void> | undefined;
  #closed = false;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#reopenAfterMs = options.reopenAfterMs ?? 1000;
    this.#recording = options.recording ?? (() => recordAll);
  }

  get #allows(): boolean {
    return this.#options.onLogFailure === 'allow';
  }

  /**
   * Opens the log. A process that holds it and does not answer may go on or end: with `passUnavailable` the ledger then
   * says so and tries again when something is to be recorded. With any other failure it throws, unless the operator allows calls to pass
   * unrecorded. A log that is switched off is not opened.
   */
  async open(options: { readonly passUnavailable: boolean }): Promise<void> {
    if (!this.#recording().enabled) {
      this.#options.report(
        `gatebook: the audit log is off (${offKey} = false): NOTHING IS RECORDED`,
      );
      return;
    }
    await this.#tryOpen();
    if (this.#book !== undefined) return;
    const passes = options.passUnavailable && mayComeBack.has(codeOf(this.#lastError));
    if (!passes && !this.#allows) throw this.#lastError;
    this.#reportFailing(this.#lastError);
  }

  /** Records what must be on disk before something happens. Returns why it must not happen, or undefined. */
  async intent(event: AuditEvent): Promise<string | undefined> {
    const reason = await this.#append(event);
    return this.#allows ? undefined : reason;
  }

  /** Records what has happened already; waits for room where there is none. Returns whether it was recorded. */
  async fact(event: AuditEvent): Promise<boolean> {
    return (await this.#append(event, true)) === undefined;
  }

  /**
   * Asks the process that writes the log what the gates over it share.
   *
   * @throws what the log says where it cannot be asked
   */
  async consult(message: string): Promise<string> {
    if (this.#book === undefined) await this.#tryOpen();
    const book = this.#book;
    if (book === undefined) throw this.#lastError;
    try {
      return (await book.consult(message)).answer;
    } catch (error) {
      if (endOfLog.has(codeOf(error)) && this.#book === book) this.#leave(book, error);
      throw error;
    }
  }

  /** How many records this process could not have written. */
  get missing(): number {
    return this.#missing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const book = this.#book;
    this.#book = undefined;
    try {
      await book?.close();
    } catch (error) {
      this.#options.report(`gatebook: the log could not be closed: ${reasonOf(error)}`);
    }
    if (this.#missing > 0) {
      this.#options.report(
        `gatebook: ${this.#missing} record(s) are missing from the log at the end of this run`,
      );
    }
  }

  async #append(event: AuditEvent, mayWait = false): Promise<string | undefined> {
    if (switchedOff(this.#recording(), event.eventType) !== undefined) return undefined;
    if (this.#book === undefined) await this.#tryOpen();
    const book = this.#book;
    if (book === undefined) return this.#failed(this.#lastError);
    for (let tries = 0; ; tries++) {
      while (this.#marking !== undefined) await this.#marking;
      const missing = this.#missing;
      this.#missing = 0;
      const release = missing === 0 ? undefined : this.#holdMark();
      try {
        await book.append(missing === 0 ? event : this.#marked(event, missing));
        this.#works();
        return undefined;
      } catch (error) {
        this.#missing += missing;
        if (mayWait && codeOf(error) === 'queue_full' && tries < roomTriesMax) {
          await book.drained();
          continue;
        }
        if (endOfLog.has(codeOf(error)) && this.#book === book) this.#leave(book, error);
        return this.#failed(error);
      } finally {
        release?.();
      }
    }
  }

  /** Others wait until what this gives is called. */
  #holdMark(): () => void {
    let release = (): void => {};
    this.#marking = new Promise((resolve) => {
      release = () => {
        this.#marking = undefined;
        resolve();
      };
    });
    return release;
  }

  /** Lets go of a log that has failed for good, so that its lock is free when it is opened again. */
  #leave(book: Book, error: unknown): void {
    this.#book = undefined;
    this.#lastError = error;
    this.#lastTryMs = performance.now();
    this.#opening = book
      .close()
      .catch(() => undefined)
      .finally(() => {
        this.#opening = undefined;
      });
  }

  async #tryOpen(): Promise<void> {
    await this.#opening;
    if (this.#book !== undefined || this.#closed) return;
    if (performance.now() - this.#lastTryMs < this.#reopenAfterMs) return;
    this.#opening ??= this.#openNow();
    await this.#opening;
  }

  async #openNow(): Promise<void> {
    this.#lastTryMs = performance.now();
    try {
      this.#book = await this.#options.open();
    } catch (error) {
      this.#lastError = error;
    } finally {
      this.#opening = undefined;
    }
  }

  #failed(error: unknown): string {
    this.#missing++;
    const reason = reasonOf(error);
    if (eventFaults.has(codeOf(error))) {
      this.#options.report(`gatebook: one event could not be recorded: ${reason}`);
    } else {
      this.#reportFailing(error);
    }
    return reason;
  }

  #reportFailing(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    const what = this.#allows
      ? 'calls PASS UNRECORDED (--on-log-failure allow)'
      : 'calls are refused until it works again';
    this.#options.report(`gatebook: the log fails, ${what}: ${reasonOf(error)}`);
  }

  #works(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#options.report('gatebook: the log works again');
  }

  #marked(event: AuditEvent, missing: number): AuditEvent {
    const details = { ...event.details, unrecorded_before: missing };
    if (!this.#allows) return { ...event, details };
    return { ...event, details, security: { ...event.security, notEnforced: ['audit'] } };
  }
}

function codeOf(error: unknown): string {
  return error instanceof AuditError ? error.code : '';
}

export function reasonOf(error: unknown): string {
  if (error instanceof AuditError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
