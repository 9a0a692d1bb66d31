import type { Caller } from './hook.js';

/** How long a client that lost its connection may take to come again. */
export const returnMs = 1_000;
/** So many are waited for at a time; who left first is given up for more. */
const awayMax = 1_024;

interface Stay {
  readonly from: Caller;
  /** Ends the waiting for a client that is away. */
  away: NodeJS.Timeout | undefined;
}

/** Which clients the hook has heard of, from the first message of each until it has gone for good. */
export class Stays {
  readonly #onGone: (from: Caller) => void;
  readonly #stays = new Map<string, Stay>();
  /** Clients that are away, the first first. */
  readonly #away = new Set<string>();

  constructor(onGone: (from: Caller) => void) {
    this.#onGone = onGone;
  }

  /** The name is the caller's choice, so nobody may take one that another emitter's client has: false then. */
  begin(from: Caller): boolean {
    const stay = this.#stays.get(from.client);
    if (stay !== undefined) return stay.from.emitter === from.emitter;
    this.#stays.set(from.client, { from, away: undefined });
    return true;
  }

  /** The client is connected, perhaps again; false where the hook has not heard of it, or was told that it has gone. */
  came({ client, emitter }: Caller): boolean {
    const stay = this.#stays.get(client);
    if (stay === undefined || stay.from.emitter !== emitter) return false;
    clearTimeout(stay.away);
    stay.away = undefined;
    this.#away.delete(client);
    return true;
  }

  end({ client, emitter }: Caller, clean: boolean): void {
    const stay = this.#stays.get(client);
    if (stay === undefined || stay.from.emitter !== emitter) return;
    if (clean) {
      this.#give(client);
      return;
    }
    if (stay.away !== undefined) return;
    stay.away = setTimeout(() => this.#give(client), returnMs);
    this.#away.add(client);
    const [first] = this.#away;
    if (this.#away.size > awayMax && first !== undefined) this.#give(first);
  }

  #give(client: string): void {
    const stay = this.#stays.get(client);
    if (stay === undefined) return;
    clearTimeout(stay.away);
    this.#stays.delete(client);
    this.#away.delete(client);
    this.#onGone(stay.from);
  }

  /** Nobody is given up any more: who is here goes to the next writer. */
  close(): void {
    for (const { away } of this.#stays.values()) clearTimeout(away);
    this.#stays.clear();
    this.#away.clear();
  }
}
