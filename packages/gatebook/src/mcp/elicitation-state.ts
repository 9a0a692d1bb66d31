import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { openStatesMax } from './bounds.js';

/** What a `requestState` of our own binds an answer to. */
export interface AskedState {
  readonly actor: string;
  readonly session: string;
  readonly method: string;
  readonly subject: string;
  /** Hex SHA-256 of the arguments. */
  readonly digest: string;
}

/** What it carries from the question to the answer. */
export interface CarriedState {
  /** The question, and under which name of `inputRequests` it was asked. */
  readonly question: string;
  readonly key: string;
  /** The server's name when it was asked, for a server may give itself another one meanwhile. */
  readonly server: string;
  /** The server's own, which the call had brought: `requestState`, and the JSON text of `inputResponses`. */
  readonly requestState?: string | undefined;
  readonly inputResponses?: string | undefined;
}

interface Sealed extends AskedState, CarriedState {
  readonly nonce: string;
  /** Ms on the monotonic clock of this process. */
  readonly untilMs: number;
}

/** How long a question may take that goes out with the answer to a call. */
export const stateMs = 300_000;

/**
 * Makes the `requestState` that goes with a question, and takes it back: once, in time, and for the same call only. The key is of this
 * process and never leaves it, so that of another gate, inside of this one or before it, is not taken for one of ours.
 */
export class RequestStates {
  readonly #key = randomBytes(32);
  readonly #prefix = `gatebook.${randomBytes(8).toString('hex')}.`;
  readonly #now: () => number;
  /** Those that may still come back. */
  readonly #open = new Set<string>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  isOurs(text: string | undefined): text is string {
    return text?.startsWith(this.#prefix) === true;
  }

  seal(bound: AskedState, carried: CarriedState): string {
    const nonce = randomBytes(16).toString('hex');
    const sealed: Sealed = { ...bound, ...carried, nonce, untilMs: this.#now() + stateMs };
    this.#open.add(nonce);
    if (this.#open.size > openStatesMax) {
      const oldest = this.#open.values().next();
      if (oldest.done !== true) this.#open.delete(oldest.value);
    }
    const body = this.#prefix + Buffer.from(JSON.stringify(sealed)).toString('base64url');
    return `${body}.${this.#mac(body).toString('base64url')}`;
  }

  /** What was carried, or why the text is not good for this call. It is used up only when it is good. */
  take(text: string, bound: AskedState): CarriedState | { readonly fault: string } {
    const end = text.lastIndexOf('.');
    const body = text.slice(0, end);
    const mac = Buffer.from(text.slice(end + 1), 'base64url');
    const expected = this.#mac(body);
    if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) {
      return { fault: 'the requestState was not made by this gate, or was changed' };
    }
    const json = Buffer.from(body.slice(this.#prefix.length), 'base64url').toString();
    const sealed = JSON.parse(json) as Sealed;
    if (sealed.untilMs < this.#now()) return { fault: 'the requestState has expired; call again' };
    for (const name of ['actor', 'session', 'method', 'subject', 'digest'] as const) {
      if (sealed[name] !== bound[name]) {
        return { fault: `the requestState was given for another call (another ${name})` };
      }
    }
    if (!this.#open.delete(sealed.nonce)) return { fault: 'the requestState was used already' };
    return sealed;
  }

  #mac(body: string): Buffer {
    return createHmac('sha256', this.#key).update(body).digest();
  }
}
