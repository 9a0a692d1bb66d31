import type { LimitRequest } from '../request.js';
import type { Ask } from './ask.js';
import type { Reply } from './reply.js';
import { type Term, text } from './term.js';

const millionths = 1_000_000;

/** What a request took: enough to give it back, or to correct it. */
export interface Held {
  readonly ask: Ask;
  readonly reply: Reply;
  /** The key of the request's own record in the store, which its permits are named by. */
  readonly idKey: string;
}

/** How much of each limit goes back; less than nothing for more that is taken. */
export type Amounts = readonly number[];

/** Whether this limit was taken from. */
export function wasTaken({ reply }: Held, place: number): boolean {
  return reply.waits[place] !== -2;
}

/** All of a request's permits, or all the rest of it. */
export function amountsOf(held: Held, permits: boolean): Amounts {
  return held.ask.terms.map((term, place) =>
    (term.kind === 'c') === permits && wasTaken(held, place) ? held.ask.costs[place]! : 0,
  );
}

/** What settling corrects, by the limits as they are now: the difference to what it did cost, and the permits. */
export function corrections(held: Held, actual: number): Amounts {
  const { terms, costs, request } = held.ask;
  return terms.map((term, place) => {
    if (!wasTaken(held, place)) return 0;
    const estimate = costs[place]!;
    return term.kind === 'c' ? estimate : estimate - costIn(term.latest, request, actual, estimate);
  });
}

/** Where nobody can say what it did cost, the estimate stands: settling never fails. */
function costIn(term: Term, request: LimitRequest, actual: number, estimate: number): number {
  try {
    return term.costOf({ ...request, cost: actual });
  } catch {
    return estimate;
  }
}

/**
 * The arguments of the script that gives back; `places` are those with something to do. Limits may have changed since it was taken, and what
 * they say now counts; how much has come back by itself is reckoned by the fastest rate since, so that too much never goes back. What is
 * given up goes by the limits that the store's own record of it is in.
 */
export function givingArguments(
  op: 'g' | 'd' | 'u',
  held: Omit<Held, 'reply'> & { readonly reply?: Reply | undefined },
  amounts: Amounts,
  nowMs: number,
): { readonly keys: string[]; readonly values: string[]; readonly places: readonly number[] } {
  const { ask, reply, idKey } = held;
  const values: string[] = [op, idKey];
  const keys: string[] = [];
  const places: number[] = [];
  for (const [place, taken] of ask.terms.entries()) {
    const amount = amounts[place]!;
    const term = op === 'u' ? taken : taken.latest;
    // When it is given up the store's own record has a mark for every limit, in their order.
    if (amount === 0 && op !== 'u') continue;
    places.push(place);
    keys.push(ask.keys[place]!);
    values.push(term.kind, text(amount * term.perToken));
    values.push(...marksOf(term, taken, reply, place, nowMs), ...numbersOf(term, reply, nowMs));
    values.push(text(taken.fastest * term.perToken));
  }
  return { keys, values, places };
}

function marksOf(
  term: Term,
  taken: Term,
  reply: Reply | undefined,
  place: number,
  nowMs: number,
): string[] {
  if (term.kind === 'q') return [text(periodOf(term, reply, nowMs).from), text(reply?.nowUs ?? 0)];
  const mark = ((reply?.marks[place] ?? 0) * term.perToken) / taken.perToken;
  return [text(mark), text(reply?.nowUs ?? 0)];
}

function numbersOf(term: Term, reply: Reply | undefined, nowMs: number): string[] {
  const most = (term.max + (term.maxDebt ?? term.max)) * term.perToken;
  if (term.kind === 'r')
    return [text(term.count), text(term.perToken), text(term.max * term.perToken), text(most)];
  if (term.kind === 'w') return [text(term.span), '0', '0', text(most)];
  const { from, to } = periodOf(term, reply, nowMs);
  return [text(from), text(to), '0', text(most)];
}

function periodOf(
  term: Term,
  reply: Reply | undefined,
  nowMs: number,
): { readonly from: number; readonly to: number } {
  return term.kind === 'q'
    ? term.periodAt(reply === undefined ? nowMs : reply.nowUs / 1_000)
    : { from: 0, to: 0 };
}

/** What was not taken, in what the limits count: the most of any. */
export function overspentOf(
  raw: unknown,
  places: readonly number[],
  terms: readonly Term[],
): number {
  let most = 0;
  for (const [at, place] of places.entries()) {
    const { perToken } = terms[place]!.latest;
    const left = Number((raw as readonly unknown[])[at] ?? 0) / perToken;
    // What is less than a millionth comes of fractions.
    if (left > most) most = Math.round(left * millionths) / millionths;
  }
  return most;
}
