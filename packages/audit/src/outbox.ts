import type { AuditError } from './errors.js';
import { parseText, textFrame } from './frames.js';
import { type Consulted, maybeAnswered, messageBytesMax, messagesMax } from './hook.js';
import { fromDoor, type NotConsultedMessage, toDoor } from './relay-messages.js';
import { fromPlainError } from './thread-messages.js';

interface Message {
  /** Their order, also of what is sent again. */
  readonly at: number;
  readonly text: string;
  resolve(consulted: Consulted): void;
  reject(error: AuditError): void;
}

/** A connection that messages can be sent over. */
export interface Way {
  readonly host: string;
  readonly pid: number;
  write(frame: Uint8Array): void;
}

/**
 * Messages for the hook of a writer in another process. Each is sent to one writer only: when that one goes before it has
 * answered, nobody knows whether it decided. What was not sent yet waits for the next.
 */
export class Outbox {
  #waiting: Message[] = [];
  #count = 0;
  readonly #sent = new Map<number, Message>();
  /** Of the next message over this way; the first is 0. */
  #nextId = 0;
  #way: Way | undefined;
  #host = '';
  /** Whether anything was ever sent: the hook may hold something for this client then. */
  isKnown = false;

  get owes(): boolean {
    return this.#waiting.length > 0 || this.#sent.size > 0;
  }

  consult(text: string): Promise<Consulted> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ at: this.#count++, text, resolve, reject });
      this.#send();
    });
  }

  /** The next writer was found. */
  open(way: Way): void {
    this.#way = way;
    this.#nextId = 0;
    this.#host = way.host;
    this.#send();
  }

  #send(): void {
    while (this.#way !== undefined && this.#sent.size < messagesMax) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      const id = this.#nextId++ % 2 ** 32;
      this.#sent.set(id, message);
      this.isKnown = true;
      this.#way.write(textFrame(toDoor.consult, id, message.text));
    }
  }

  /** Takes a frame; false where it is none for this. */
  take(kind: number, payload: Buffer): boolean {
    if (kind === fromDoor.consulted) {
      const { id, text } = parseText(payload, messageBytesMax);
      this.#settled(id)?.resolve({ answer: text, host: this.#host });
    } else if (kind === fromDoor.notConsulted) {
      this.#takeRefusal(JSON.parse(payload.toString('utf8')) as NotConsultedMessage);
    } else return false;
    this.#send();
    return true;
  }

  #takeRefusal({ id, error }: NotConsultedMessage): void {
    const message = this.#settled(id);
    if (message === undefined) return;
    if (error !== undefined) {
      message.reject(fromPlainError(error));
      // Whoever stands behind it would find that program as busy.
      if (error.code === 'log_unavailable') this.fail(fromPlainError(error));
      return;
    }
    // This writer is ending; the next one gets it.
    this.#way = undefined;
    this.#sendLater([message]);
  }

  #sendLater(messages: readonly Message[]): void {
    this.#waiting = [...messages, ...this.#waiting].sort((a, b) => a.at - b.at);
  }

  #settled(id: number): Message | undefined {
    const message = this.#sent.get(id);
    this.#sent.delete(id);
    return message;
  }

  /** The writer has gone, and with it what it was sent; what it says it never read the next one gets. */
  lose(pid: number | undefined, read = Number.POSITIVE_INFINITY): void {
    this.#way = undefined;
    const sent = [...this.#sent];
    this.#sent.clear();
    this.#sendLater(sent.filter(([id]) => id >= read).map(([, message]) => message));
    for (const [id, message] of sent) {
      if (id >= read) continue;
      message.reject(
        maybeAnswered(`process ${pid}, which wrote the log, went away before it answered`),
      );
    }
  }

  /** This process writes the log from now on: what waits is for its own hook. */
  takeWaiting(): Message[] {
    return this.#waiting.splice(0);
  }

  /** Nobody is found to send it to. */
  fail(error: AuditError): void {
    for (const message of this.#waiting.splice(0)) message.reject(error);
  }
}
