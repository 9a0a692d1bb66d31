import type { Grant, Refusal } from './decision.js';
import { RateLimitError } from './errors.js';
import type { LimitRequest } from './request.js';
import type { Reservation } from './reservation.js';

/** How long what was answered under an id is answered again. */
export const idLastsMs = 30_000;
const mostChars = 256;

interface Kept<Answer> {
  readonly print: string;
  readonly answer: Answer;
  readonly until: number;
}

interface Waited {
  readonly print: string;
  /** Resolves when the wait has ended, however it did. */
  readonly ended: Promise<unknown>;
}

export type Asked = 'request' | 'reservation';
type Answer = Grant | Reservation;

/**
 * What was let in under an id, so that asking again costs nothing again. Refusals are not kept: they cost nothing, and may be otherwise the
 * next time. Nor is what was given back. At most `most` ids, those that somebody waits under included: when as many have been given in 30
 * seconds, whatever has a new one is refused, since it could not be told from a repetition later.
 */
export class Ids {
  readonly #most: number;
  readonly #kept = new Map<string, Kept<Answer>>();
  readonly #waited = new Map<string, Waited>();
  /** The id of each grant, for when it is given back. */
  readonly #idOf = new WeakMap<object, string>();

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#kept.size + this.#waited.size;
  }

  /**
   * What was answered to the same request under this id.
   *
   * @throws RateLimitError `idempotency_conflict` when it was another request; `bad_request`
   */
  find(id: string, print: string, now: number): Answer | undefined {
    if (typeof id !== 'string' || id === '' || id.length > mostChars) {
      throw new RateLimitError('bad_request', `an id is a string of 1 to ${mostChars} characters`);
    }
    const kept = this.#kept.get(id);
    if (kept === undefined || kept.until <= now) return undefined;
    if (kept.print !== print) throw conflict(id);
    return kept.answer;
  }

  /**
   * The wait of the same request under this id.
   *
   * @throws RateLimitError `idempotency_conflict` when it is another request
   */
  waitOf(id: string, print: string): Promise<unknown> | undefined {
    const waited = this.#waited.get(id);
    if (waited !== undefined && waited.print !== print) throw conflict(id);
    return waited?.ended;
  }

  /** 0 when there is room for a new id; else the ms after which the oldest one is forgotten. */
  fullForMs(now: number): number {
    for (const [id, { until }] of this.#kept) {
      if (until > now) break;
      this.#kept.delete(id);
    }
    if (this.size < this.#most) return 0;
    for (const { until } of this.#kept.values()) return Math.max(1, Math.ceil(until - now));
    return Number.POSITIVE_INFINITY;
  }

  /** `grant` is what the answer gives back. */
  keep(id: string, print: string, answer: Answer, grant: Grant, now: number): void {
    // So that the oldest is always first.
    this.#kept.delete(id);
    this.#kept.set(id, { print, answer, until: now + idLastsMs });
    this.#idOf.set(grant, id);
  }

  waits(id: string, print: string, ended: Promise<unknown>): void {
    this.#waited.set(id, { print, ended });
  }

  waitsNoMore(id: string): void {
    this.#waited.delete(id);
  }

  /** Whoever asks again after something was given back pays again. */
  drop(grant: object): void {
    const id = this.#idOf.get(grant);
    if (id !== undefined) this.#kept.delete(id);
  }
}

function conflict(id: string): RateLimitError {
  return new RateLimitError(
    'idempotency_conflict',
    `the id ${JSON.stringify(id)} was used for another request; give each request an id of its own`,
  );
}

/** Differs for requests that differ. */
export function printOf(
  asked: Asked,
  { actor, channel, session, tool, cost }: LimitRequest,
): string {
  return JSON.stringify([asked, actor, channel, session, tool, cost ?? null]);
}

export function refusedForIds(retryAfterMs: number): Refusal {
  return {
    allowed: false,
    by: '',
    remaining: 0,
    limit: 0,
    retryAfterMs,
    resetMs: retryAfterMs,
    reason: 'ids',
  };
}
