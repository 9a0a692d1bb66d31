import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import { RateLimitError } from '../errors.js';
import { type Ask, digestOf, kindsOf } from './ask.js';
import { Convoys } from './convoys.js';
import { EvictionGuard, type EvictionOptions } from './eviction-guard.js';
import { type Amounts, givingArguments, type Held, overspentOf } from './giving.js';
import type { Link } from './link.js';
import { luaBooked } from './lua-booked.js';
import { luaGeneral } from './lua-general.js';
import { luaGive } from './lua-give.js';
import { luaKeys } from './lua-keys.js';
import { type Reply, replyOf } from './reply.js';
import { Retries } from './retries.js';
import { Script } from './script.js';
import { StoreFailure } from './store-failure.js';
import { lapseUs, type Term, text } from './term.js';

const general = new Script(luaGeneral);
const give = new Script(luaGive);
const booked = new Script(luaBooked);
export const keysScript = new Script(luaKeys);

/** `=`, before an id that nobody gave. */
const ownMark = 61;

/** A block doubles up to a day. */
const blockMostMs = 86_400_000;

/** Takes, peeks, or takes what is not there yet if that is there within so many ms. */
export type Mode = 'take' | 'peek' | { readonly bookMs: number };

/** What the store can be asked, as calls with an answer. */
export class Store {
  readonly bornKey: string;
  readonly retries: Retries;
  readonly #link: Link;
  readonly #guard: EvictionGuard;
  readonly #convoys: Convoys;
  readonly #clock: Clock;
  readonly #idHead: string;
  /** The server's clock less ours, for calendars. */
  #aheadMs = 0;
  #made = 0;
  readonly #idStart = `${randomBytes(9).toString('base64url')}.`;

  constructor(link: Link, clock: Clock, prefix: string, options: EvictionOptions = {}) {
    this.#link = link;
    this.#guard = new EvictionGuard(link, clock, options);
    this.#clock = clock;
    this.bornKey = `{${prefix}}:born`;
    this.#idHead = `{${prefix}}:id:`;
    this.#convoys = new Convoys(link, {
      bornKey: this.bornKey,
      newKey: () => this.idKeyOf(undefined),
      onLate: (ask, record, place, raw) => this.#takeLate(ask, record, raw, place),
    });
    this.retries = new Retries(link, clock);
  }

  /** The key of a request's record: of the id that it came with, or of one that nobody else has. */
  idKeyOf(id: string | undefined): string {
    if (id === undefined) return `${this.#idHead}=${this.#idStart}${(this.#made++).toString(36)}`;
    return `${this.#idHead}:${id}`;
  }

  get serverMs(): number {
    return this.#clock.wall() + this.#aheadMs;
  }

  /**
   * Asks for a request. What is granted after the time-out is given back, but for requests with an id of the caller's own.
   *
   * @throws StoreFailure, RateLimitError `idempotency_conflict`, `bad_store`
   */
  async take(ask: Ask, idKey: string, mode: Mode): Promise<Reply> {
    if (!this.#mayDecide()) await this.#guard.admit(this.bornKey);
    const plain = ask.plan.isPlain && mode === 'take';
    const raw = await (plain ? this.#askPlain(ask, idKey) : this.#ask(ask, idKey, mode));
    return await this.#takeOn(ask, idKey, mode, replyOf(raw, ask, plain ? 'plain' : 'general'));
  }

  /** Goes on from what `askPlain` answered. @throws as `take` */
  takeOn(ask: Ask, idKey: string, raw: unknown): Promise<Reply> {
    return this.#takeOn(ask, idKey, 'take', replyOf(raw, ask, 'plain'));
  }

  async #takeOn(ask: Ask, idKey: string, mode: Mode, first: Reply): Promise<Reply> {
    let reply = first;
    // Once more for keys that are blocked, and for a calendar's period; and for the next period, if that begins now.
    for (let left = 3; ; left--) {
      if (reply.nowUs !== 0) this.#aheadMs = reply.nowUs / 1_000 - this.#clock.wall();
      if (reply.code === 'conflict') {
        throw new RateLimitError(
          'idempotency_conflict',
          'another request was made with this id within the last 30 s; give each request an id of its own',
        );
      }
      if (reply.code === 'given_up')
        throw new StoreFailure('the request was given up before the store had it', false, 0);
      if (reply.code !== 'blocks' && reply.code !== 'period') return reply;
      if (left === 0)
        throw new StoreFailure(`the store answers ${reply.code} again and again`, false, 0);
      reply = replyOf(await this.#ask(ask, idKey, mode), ask, 'general');
    }
  }

  #ask(ask: Ask, idKey: string, mode: Mode): Promise<unknown> {
    const keys = [this.bornKey, idKey, ...ask.keys];
    const isOwn = this.#isOwn(idKey);
    const values = [modeLetter(mode), isOwn ? '' : digestOf(ask)];
    values.push(kindsOf(ask, typeof mode === 'object'));
    for (const [place, term] of ask.terms.entries())
      term.pushArguments(values, ask.costs[place]!, this.serverMs);
    if (typeof mode === 'object') values.push(text(Math.min(mode.bookMs * 1_000, 2 ** 53)));
    return this.#run(general, keys, values, this.#onLate(ask, idKey, mode !== 'peek' && isOwn));
  }

  /** The answer of the script that is made for these limits, as it is; for what is asked most. @throws StoreFailure, `bad_store` */
  askPlain(ask: Ask, idKey: string): Promise<unknown> {
    if (!this.#mayDecide())
      return this.#guard.admit(this.bornKey).then(() => this.#askPlain(ask, idKey));
    return this.#askPlain(ask, idKey);
  }

  #mayDecide(): boolean {
    return this.#guard.mayDecide(this.bornKey, this.#clock.now());
  }

  #askPlain(ask: Ask, idKey: string): Promise<unknown> {
    const isOwn = this.#isOwn(idKey);
    const digest = isOwn ? '' : digestOf(ask);
    return this.#convoys.ask(ask, idKey, digest);
  }

  /** Nobody else has this id, so there are no two requests to tell apart. */
  #isOwn(idKey: string): boolean {
    return idKey.charCodeAt(this.#idHead.length) === ownMark;
  }

  /** Who gave an id may try again with it, and have what it was granted. */
  #onLate(ask: Ask, idKey: string, isOwn: boolean): ((raw: unknown) => void) | undefined {
    return isOwn ? (raw) => this.#takeLate(ask, idKey, raw) : undefined;
  }

  /** Nobody waits for it any more, or nobody knows whether it was granted. */
  #takeLate(ask: Ask, record: string, raw: unknown, place?: number): void {
    const code = Array.isArray(raw) ? Number(raw[0]) : undefined;
    if (code === undefined || code === 1 || code === 4) this.undo(ask, record, place);
  }

  /**
   * Gives back what a request may have been granted, and lets it be granted no more. `record`: its own, or with a place that of the call
   * in which it was one of several.
   */
  undo(ask: Ask, record: string, place?: number): void {
    const { keys, values } = this.#undoing(ask, record, place);
    this.retries.add(give, keys, values);
  }

  /** The same at once, for what was booked and is not wanted; where the store is away it is tried again later. */
  async unbook(ask: Ask, idKey: string): Promise<void> {
    const { keys, values } = this.#undoing(ask, idKey);
    try {
      await this.#run(give, keys, values);
    } catch (error) {
      if (!(error instanceof StoreFailure)) throw error;
      this.retries.add(give, keys, values);
    }
  }

  #undoing(ask: Ask, record: string, place?: number): { keys: string[]; values: string[] } {
    const held = { ask, idKey: record };
    const { keys, values } = givingArguments('u', held, ask.costs, this.serverMs);
    if (place !== undefined) values[0] = `u${place}`;
    return { keys: [this.bornKey, record, ...keys], values };
  }

  /** Which of these requests are booked or granted. @throws StoreFailure */
  async known(idKeys: readonly string[]): Promise<readonly boolean[]> {
    const raw = await this.#run(booked, [...idKeys], []);
    return Array.isArray(raw) ? raw.map((one) => Number(one) === 1) : [];
  }

  /** Gives back, once. Resolves with what was overspent; where the store is away it is tried again later. */
  async give(
    held: Held,
    amounts: Amounts,
    what: string,
  ): Promise<{ readonly overspent: number; readonly pending: boolean }> {
    // What was given back is granted no more: who comes again with the same id is charged.
    const op = what === 'settle' ? 'g' : 'd';
    const { keys, values, places } = givingArguments(op, held, amounts, this.serverMs);
    if (keys.length === 0) return { overspent: 0, pending: false };
    // Before the brace, where no id and no key of a limit can be the same.
    const all = [this.bornKey, `${what}@${held.reply.nowUs}${held.idKey}`, ...keys];
    try {
      const raw = await this.#run(give, all, values);
      return { overspent: overspentOf(raw, places, held.ask.terms), pending: false };
    } catch (error) {
      if (!(error instanceof StoreFailure)) throw error;
      this.retries.add(give, all, values);
      return { overspent: 0, pending: true };
    }
  }

  async block(key: string, ms: number): Promise<number> {
    await this.#guard.admit(this.bornKey);
    const values = ['k', text(ms * 1_000), text(blockMostMs * 1_000)];
    return Number(await this.#run(keysScript, [this.bornKey, key], values));
  }

  async reset(term: Term, key: string): Promise<void> {
    await this.#guard.admit(this.bornKey);
    const { from, to } = term.periodAt(this.serverMs);
    const fullUs = term.count === 0 ? 0 : (term.max * term.perToken) / term.count;
    const numbers = {
      r: [term.perToken, fullUs],
      c: [lapseUs, 0],
      q: [from, to],
      w: [term.span, 0],
    };
    const values = ['x', term.kind, ...numbers[term.kind].map(text)];
    await this.#run(keysScript, [this.bornKey, key], values);
  }

  async declareUnused(): Promise<void> {
    await this.#guard.admit(this.bornKey);
    await this.#run(keysScript, [this.bornKey], ['f']);
  }

  close(): void {
    this.#convoys.close();
    this.retries.close();
  }

  /** A call of its own, after all that was asked before. */
  #run(
    script: Script,
    keys: string[],
    values: string[],
    onLate?: (reply: unknown) => void,
  ): Promise<unknown> {
    this.#convoys.flush();
    return this.#link.run(script, keys, values, onLate);
  }
}

function modeLetter(mode: Mode): string {
  if (typeof mode === 'object') return 'b';
  return mode === 'take' ? 't' : 'p';
}
