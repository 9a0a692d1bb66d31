import { RateLimitError } from './errors.js';
import type { Limit } from './limit.js';
import type { Reason } from './meter.js';
import { keyMaker, type LimitRequest } from './request.js';

const defaultMaxKeys = 1_000_000;

/** What the meters of every kind of limit have in common: which requests meet it, under which key, at what cost. */
export abstract class MeterBase {
  readonly name: string;
  shadow = false;
  readonly isReleased: boolean;
  readonly breadth: number;
  match: ((request: LimitRequest) => boolean) | undefined;
  readonly keyOf: (request: LimitRequest) => string;
  maxKeys = defaultMaxKeys;
  reason: Reason = 'limit';
  left = 0;
  allowed = 0;
  refused = 0;
  shadowRefused = 0;
  maxDebt: number | undefined;
  #cost: Limit['cost'];

  constructor(limit: Limit) {
    const { kind, name, scope = [] } = limit;
    this.name = name;
    this.isReleased = kind === 'concurrency';
    this.breadth = scope.length;
    this.keyOf = keyMaker(scope);
    this.adopt(limit);
  }

  /** What may differ in a limit without its keys meaning something else. */
  adopt({ kind, shadow = false, match, cost, maxDebt, maxKeys = defaultMaxKeys }: Limit): void {
    this.maxKeys = maxKeys;
    this.shadow = shadow;
    this.match = match;
    this.maxDebt = maxDebt;
    this.#cost = cost ?? (kind === 'concurrency' ? 'call' : 'cost');
  }

  costOf(request: LimitRequest): number {
    const by = this.#cost;
    if (by === 'call') return 1;
    const cost = typeof by === 'function' ? by(request) : (request.cost ?? 1);
    if (cost >= 0 && cost < Number.POSITIVE_INFINITY) return cost;
    throw new RateLimitError(
      'bad_request',
      `the cost in ${JSON.stringify(this.name)} is ${cost}, not a number of 0 or more`,
    );
  }
}
