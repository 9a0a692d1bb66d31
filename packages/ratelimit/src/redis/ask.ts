import { createHash } from 'node:crypto';
import type { LimitRequest } from '../request.js';
import type { Term } from './term.js';

/** A request as it goes to the store: the limits that it meets, its key and its cost in each. */
export interface Ask {
  readonly request: LimitRequest;
  readonly terms: readonly Term[];
  readonly keys: readonly string[];
  readonly costs: readonly number[];
  /** Whether all of them are buckets that are enforced. */
  readonly isPlain: boolean;
}

/** @throws RateLimitError `bad_request` */
export function askOf(request: LimitRequest, terms: readonly Term[]): Ask {
  const met: Term[] = [];
  const keys: string[] = [];
  const costs: number[] = [];
  let isPlain = true;
  for (const term of terms) {
    if (term.match !== undefined && !term.match(request)) continue;
    met.push(term);
    keys.push(term.keyIn(request));
    costs.push(term.costOf(request));
    if (term.kind !== 'r' || term.shadow) isPlain = false;
  }
  return { request, terms: met, keys, costs, isPlain };
}

const digestMost = 200;

/** What tells two requests apart that come with one id: what they take, and from where. */
export function digestOf({ keys, costs }: Ask): string {
  const text = `${costs.join(' ')} ${keys.join('\n')}`;
  return text.length <= digestMost ? text : createHash('sha256').update(text).digest('base64');
}

/** The kinds, for the script that takes from all of them; with `booking`, buckets of the broadest scope may be booked. */
export function kindsOf({ terms }: Ask, booking: boolean): string {
  const broadest = Math.min(...terms.map(({ breadth }) => breadth));
  return terms
    .map(({ kind, shadow, breadth }) => {
      if (shadow) return kind.toUpperCase();
      return booking && kind === 'r' && breadth === broadest ? 'k' : kind;
    })
    .join('');
}
