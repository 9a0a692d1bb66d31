import type { AuditError } from './errors.js';
import type { Consulted } from './hook.js';
import type { FromWriter, LogFacts, ToWriter } from './thread-messages.js';

/** What a log hears over its link. */
export interface LinkListener {
  receive(message: FromWriter): void;
  /** The writer is gone, and with it everything that was in flight. */
  died(error: AuditError): void;
  /** From now on another process answers messages, or this one does. */
  hostChanged(host: string): void;
}

/**
 * The way from a log to its writer: a thread of this process (`holder.ts`), or another process's over a socket
 * (`relay.ts`). Outcomes come in the order of the appends.
 */
export interface Link {
  readonly facts: LogFacts;
  /** The emitter that stands in this log's records, where the writer says which. */
  readonly emitter: string | undefined;
  /** Whether the writer is in this process. */
  readonly isOwn: boolean;
  /** Names the process that answers messages, this time of its writing. */
  readonly host: string;
  listen(listener: LinkListener): void;
  send(message: ToWriter): void;
  /** Asks the hook of whichever process has the writer. */
  consult(message: string): Promise<Consulted>;
  /** Whether the link keeps this process alive. */
  ref(): void;
  unref(): void;
  /** After the last message. */
  end(): void;
}

/** A batch of bodies alone in its memory, so that it can be moved to another thread. */
export type OwnBytes = Uint8Array<ArrayBuffer>;
