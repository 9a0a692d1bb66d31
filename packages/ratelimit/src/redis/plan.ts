import { luaPlain, type PlainBucket } from './lua-plain.js';
import { Script } from './script.js';
import type { Term } from './term.js';

/** Scripts are made for so many limits at most; more are left to the general one. */
const plainMost = 16;

/** How many scripts a limiter may still make: a server keeps each that it was ever taught. */
export interface ScriptBudget {
  left: number;
}

export function scriptBudget(): ScriptBudget {
  return { left: 128 };
}

/** One for requests that cost one token everywhere, one for others. */
const scriptsOfPlan = 2;

/**
 * The limits that a request meets, and the scripts that are made for them; where no more may be made, the general one does what they do.
 */
export class Plan {
  readonly terms: readonly Term[];
  /** Whether all of them are buckets that are enforced. */
  readonly isPlain: boolean;
  /** Places of the limits in which all requests have the same key, and of the others. */
  readonly shared: readonly number[];
  readonly own: readonly number[];
  #ones: Script | undefined;
  #weighted: Script | undefined;

  constructor(terms: readonly Term[], budget: ScriptBudget) {
    this.terms = terms;
    this.isPlain =
      terms.length > 0 &&
      terms.length <= plainMost &&
      budget.left >= scriptsOfPlan &&
      terms.every(({ kind, shadow }) => kind === 'r' && !shadow);
    const places = [...terms.keys()];
    this.shared = places.filter((place) => isShared(terms[place]!));
    this.own = places.filter((place) => !isShared(terms[place]!));
    if (this.isPlain) budget.left -= scriptsOfPlan;
  }

  /** The script that takes from them, where that is all that is asked. */
  script(isOne: boolean): Script {
    if (isOne) {
      this.#ones ??= new Script(luaPlain(this.#buckets(), false));
      return this.#ones;
    }
    this.#weighted ??= new Script(luaPlain(this.#buckets(), true));
    return this.#weighted;
  }

  #buckets(): PlainBucket[] {
    return this.terms.map((term) => ({
      burst: term.max * term.perToken,
      count: term.count,
      perToken: term.perToken,
      isShared: isShared(term),
    }));
  }
}

function isShared({ breadth }: Term): boolean {
  return breadth === 0;
}
