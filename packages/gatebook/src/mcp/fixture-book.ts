import { AuditError, type AuditErrorCode, type AuditEvent } from '@gatebook/audit';
import { consultOf } from '../gate/state/fixture-consult.js';
import { GateState } from '../gate/state/gate-state.js';
import type { Book } from './ledger.js';

/** A book in memory for the tests of the relay; its appends can be held back and made to fail. */
export class FixtureBook implements Book {
  readonly events: AuditEvent[] = [];
  closed = false;
  failWith: AuditErrorCode | undefined;
  readonly #state = consultOf(new GateState());
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;

  /** Appends from now on wait for `release`. */
  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  release(): void {
    this.#open();
  }

  async append(event: AuditEvent): Promise<void> {
    const { failWith } = this;
    await this.#gate;
    if (this.closed) throw new AuditError('log_closed', 'the log is closed');
    if (failWith !== undefined) throw new AuditError(failWith, `made to fail with ${failWith}`);
    this.events.push(event);
  }

  async consult(message: string): Promise<{ answer: string }> {
    return { answer: await this.#state(message) };
  }

  async drained(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
