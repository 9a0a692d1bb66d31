import { createHash } from 'node:crypto';
import type { LimitRequest } from '../request.js';
import { Plan, type ScriptBudget } from './plan.js';
import type { Term } from './term.js';

/** A request as it goes to the store: the limits that it meets, its key and its cost in each. */
export interface Ask {
  readonly request: LimitRequest;
  readonly plan: Plan;
  readonly terms: readonly Term[];
  readonly keys: readonly string[];
  readonly costs: readonly number[];
  /** Whether it costs one token in each. */
  readonly isOne: boolean;
}

/** Sets of limits that requests met, at most; beyond, they are planned anew each time. */
const plansMost = 256;

/** Makes requests what the store is asked, by the limits that they meet. */
export class Asker {
  readonly #terms: readonly Term[];
  readonly #budget: ScriptBudget;
  readonly #all: Plan | undefined;
  readonly #plans = new Map<string, Plan>();

  constructor(terms: readonly Term[], budget: ScriptBudget) {
    this.#terms = terms;
    this.#budget = budget;
    if (terms.every(({ match }) => match === undefined)) this.#all = new Plan(terms, budget);
  }

  /** @throws RateLimitError `bad_request` */
  askOf(request: LimitRequest): Ask {
    const plan = this.#all ?? this.#planFor(request);
    const { terms } = plan;
    const keys: string[] = [];
    const costs: number[] = [];
    let isOne = true;
    for (let at = 0; at < terms.length; at++) {
      const term = terms[at]!;
      keys.push(term.keyIn(request));
      const cost = term.costOf(request);
      costs.push(cost);
      if (cost !== 1) isOne = false;
    }
    return { request, plan, terms, keys, costs, isOne };
  }

  #planFor(request: LimitRequest): Plan {
    const met = this.#terms.filter(({ match }) => match === undefined || match(request));
    const name = met.map(({ name }) => `${name.length}:${name}`).join('');
    const known = this.#plans.get(name);
    if (known !== undefined) return known;
    const plan = new Plan(met, this.#budget);
    if (this.#plans.size < plansMost) this.#plans.set(name, plan);
    return plan;
  }
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
