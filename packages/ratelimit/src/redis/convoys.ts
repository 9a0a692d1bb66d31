import type { Ask } from './ask.js';
import { isScriptFailure } from './client.js';
import { Convoy } from './convoy.js';
import type { Link } from './link.js';
import type { Pending } from './pending.js';

export interface ConvoysOptions {
  readonly bornKey: string;
  /** A key that nobody else has, for the record of a call. */
  readonly newKey: () => string;
  /**
   * Gets what was answered after its time-out to a request without an id, or nothing where nobody knows what became of it; with the record
   * of the call and its place there, from 1.
   */
  readonly onLate: (ask: Ask, record: string, place: number, raw: unknown) => void;
}

/**
 * Requests that are made in one turn of the event loop while the store is being asked already go to it in one call, which decides them one
 * after the other, in their order. A request that finds nothing under way goes at once. Each has an answer and a time-out of its own: of a
 * call that is lost every request is given back by its place, and where the script fails each is asked for by a call of its own.
 */
export class Convoys {
  readonly #link: Link;
  readonly #options: ConvoysOptions;
  #open: Convoy | undefined;
  #isDue = false;

  constructor(link: Link, options: ConvoysOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** The answer of the script that is made for these limits. `digest` is empty where nobody gave an id. @throws StoreFailure */
  ask(ask: Ask, idKey: string, digest: string): Promise<unknown> {
    const { isIdle } = this.#link;
    let pending: Pending;
    try {
      pending = this.#link.enter(undefined);
    } catch (error) {
      return Promise.reject(error);
    }
    const answer = pending.answer();
    const convoy = this.#convoyFor(ask);
    convoy.add(ask, idKey, digest, pending);
    const place = convoy.pendings.length;
    // Who gave an id may try again with it, and have what it was granted.
    if (digest === '')
      pending.onLate = (raw) => this.#options.onLate(ask, convoy.record, place, raw);
    if (isIdle || convoy.isFull) this.flush();
    else this.#depart();
    return answer;
  }

  /** Sends what is gathered; to be called before whatever must not overtake it. */
  flush(): void {
    const convoy = this.#open;
    if (convoy === undefined) return;
    this.#open = undefined;
    const { keys, values } = convoy.load();
    this.#link.send(
      ...[convoy.script, keys, values],
      (replies) => {
        const { pendings } = convoy;
        for (let at = 0; at < pendings.length; at++)
          this.#link.answered(pendings[at]!, Array.isArray(replies) ? replies[at] : replies);
      },
      (error) => this.#refused(convoy, error),
    );
  }

  /** What was not sent is not sent any more. */
  close(): void {
    this.#open = undefined;
  }

  #convoyFor(ask: Ask): Convoy {
    const script = ask.plan.script(ask.isOne);
    if (this.#open?.script === script) return this.#open;
    this.flush();
    const { bornKey, newKey } = this.#options;
    const convoy = new Convoy(ask, bornKey, newKey());
    this.#open = convoy;
    return convoy;
  }

  /** When all that has come in at this turn of the event loop has been seen. */
  #depart(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.flush();
    });
  }

  /** What one request brought about is not the others' fault. */
  #refused(convoy: Convoy, error: unknown): void {
    const isApart = convoy.pendings.length > 1 && isScriptFailure(error);
    for (const [at, pending] of convoy.pendings.entries()) {
      if (isApart && !pending.isOver) this.#again(convoy, at, pending);
      else this.#link.refused(pending, error);
    }
  }

  /** Alone, and known by its place all the same, should it have been decided already. */
  #again(convoy: Convoy, at: number, pending: Pending): void {
    const { keys, values } = convoy.load(at);
    this.#link.send(
      ...[convoy.script, keys, values],
      (replies) => this.#link.answered(pending, Array.isArray(replies) ? replies[0] : replies),
      (error) => this.#link.refused(pending, error),
    );
  }
}
