import type { Ask } from './ask.js';
import type { Judged } from './reply.js';

/** What a request is refused with by a key that somebody waits for, or has booked of. */
export function claimedBy(ask: Ask, place: number, retryAfterMs: number): Judged {
  const term = ask.terms[place]!;
  return {
    ...{ allowed: false, by: term.name, remaining: 0, limit: term.max },
    ...{ retryAfterMs, resetMs: retryAfterMs, shadowed: [], place },
    reason: ask.costs[place]! > term.max ? 'never' : 'queue',
    lacking: [{ place, ms: retryAfterMs }],
  };
}

/** Whether a request takes something there that others may wait for. */
export function isTakenFrom({ terms, costs }: Ask, place: number): boolean {
  return !terms[place]!.shadow && costs[place] !== 0;
}

/** Ms in which so many tokens come in, where anybody can tell. */
export function msFor(ask: Ask, place: number, tokens: number): number {
  const term = ask.terms[place]!;
  const ms = term.kind === 'r' ? term.msFor(tokens, 0) : 0;
  return ms === Number.POSITIVE_INFINITY ? 0 : ms;
}

/** Whether it costs more in some limit than there can ever be. */
export function isNever({ terms, costs }: Ask): boolean {
  return terms.some(({ shadow, max }, place) => !shadow && costs[place]! > max);
}
