import type { Ask } from './ask.js';
import type { Pending } from './pending.js';
import type { Script } from './script.js';
import { text } from './term.js';

/** What one call carries at most: requests, and keys of buckets. So the server stands still for others but for about half a ms. */
export const convoyMost = { requests: 32, keys: 128 };

/** What the script of a plan is given. */
export interface Load {
  readonly keys: string[];
  readonly values: string[];
}

/** A call of the script that is made for some limits, and the requests that it decides, in their order. */
export class Convoy {
  readonly script: Script;
  /** The key of its record. */
  readonly record: string;
  readonly pendings: Pending[] = [];
  /** Keys that all requests have in common. */
  readonly #head: readonly string[];
  /** Places of the limits in which they have not. */
  readonly #own: readonly number[];
  readonly #limits: number;
  readonly #keys: string[] = [];
  readonly #costs: string[] = [];
  /** The digests and the ids of requests that came with one. */
  readonly #digests: string[] = [];
  readonly #ids: string[] = [];

  /** For requests that meet the same limits as this one. */
  constructor({ plan, isOne, keys }: Ask, bornKey: string, record: string) {
    this.script = plan.script(isOne);
    this.record = record;
    this.#head = [bornKey, record, ...plan.shared.map((place) => keys[place]!)];
    this.#own = plan.own;
    this.#limits = isOne ? 0 : plan.terms.length;
  }

  /** Whether it may carry no more. */
  get isFull(): boolean {
    const { requests, keys } = convoyMost;
    const count = this.pendings.length;
    return count >= requests || this.#head.length - 2 + (count + 1) * this.#own.length > keys;
  }

  /** `digest` tells requests with the same id apart; empty where nobody gave one. */
  add({ keys, costs, terms }: Ask, idKey: string, digest: string, pending: Pending): void {
    this.pendings.push(pending);
    for (const place of this.#own) this.#keys.push(keys[place]!);
    for (let at = 0; at < this.#limits; at++)
      this.#costs.push(text(costs[at]! * terms[at]!.perToken));
    this.#digests.push(digest);
    this.#ids.push(digest === '' ? '' : idKey);
  }

  /** All of it, or one request alone. */
  load(only?: number): Load {
    const [from, to] = only === undefined ? [0, this.pendings.length] : [only, only + 1];
    const slice = (texts: readonly string[], each: number): readonly string[] =>
      texts.slice(from * each, to * each);
    const ids = slice(this.#ids, 1).filter((id) => id !== '');
    return {
      keys: [...this.#head, ...slice(this.#keys, this.#own.length), ...ids],
      values: [
        ...[String(to - from), String(from + 1)],
        ...slice(this.#costs, this.#limits),
        ...(ids.length === 0 ? [] : slice(this.#digests, 1)),
      ],
    };
  }
}
