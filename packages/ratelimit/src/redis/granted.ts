import type { Decision } from '../decision.js';
import type { Ask } from './ask.js';
import type { Held } from './giving.js';
import type { RedisGrant } from './grants.js';
import { type Reply, replyOf } from './reply.js';

/** Gives back, of what a request took, the permits or the rest. */
export type GiveBack = (held: Held, permits: boolean) => Promise<void>;

/** A grant that remembers what it took. */
export class Granted implements RedisGrant {
  readonly allowed = true;
  readonly by: string;
  readonly remaining: number;
  readonly limit: number;
  readonly retryAfterMs = 0;
  readonly resetMs: number;
  readonly #giveBack: GiveBack;
  readonly #ask: Ask;
  readonly #idKey: string;
  #reply: Reply | undefined;
  #raw: unknown;
  #held: Held | undefined;
  #released = false;
  #refunded = false;

  /** Of a plain answer nothing more is read until it is given back. */
  constructor(
    { by, remaining, limit, resetMs }: Pick<Decision, 'by' | 'remaining' | 'limit' | 'resetMs'>,
    ask: Ask,
    idKey: string,
    answer: { readonly reply: Reply } | { readonly raw: unknown },
    giveBack: GiveBack,
  ) {
    this.by = by;
    this.remaining = remaining;
    this.limit = limit;
    this.resetMs = resetMs;
    this.#ask = ask;
    this.#idKey = idKey;
    if ('reply' in answer) this.#reply = answer.reply;
    else this.#raw = answer.raw;
    this.#giveBack = giveBack;
  }

  /** Undefined where it met no limit. Always the same object. */
  get held(): Held | undefined {
    if (this.#ask.terms.length === 0) return undefined;
    this.#reply ??= replyOf(this.#raw, this.#ask, 'plain');
    this.#held ??= { ask: this.#ask, reply: this.#reply, idKey: this.#idKey };
    return this.#held;
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    const { held } = this;
    if (held !== undefined) await this.#giveBack(held, true);
  }

  async refund(): Promise<void> {
    const released = this.release();
    if (!this.#refunded) {
      this.#refunded = true;
      const { held } = this;
      if (held !== undefined) await this.#giveBack(held, false);
    }
    await released;
  }
}
