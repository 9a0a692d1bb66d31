import type { Limit, LimitRequest, Scope } from '@gatebook/ratelimit';
import fc from 'fast-check';

/** A limit as plain data, so that a counterexample can be read. */
export interface Plan {
  readonly kind: 'rate' | 'concurrency';
  readonly scope: Scope;
  readonly count: number;
  readonly perMs: number;
  readonly burst: number | undefined;
  readonly cost: 'call' | 'cost' | 'double' | undefined;
  readonly shadow: boolean;
  readonly onlyTool: string | undefined;
}

export function limitOf(plan: Plan, place: number): Limit {
  const { kind, scope, count, perMs, burst, cost, shadow, onlyTool } = plan;
  const common = {
    name: `${place}-${kind}`,
    scope,
    shadow,
    cost: cost === 'double' ? ({ cost = 1 }: LimitRequest) => 2 * cost : cost,
    match: onlyTool === undefined ? undefined : ({ tool }: LimitRequest) => tool === onlyTool,
  };
  return kind === 'rate'
    ? { ...common, rate: { count, perMs }, burst }
    : { ...common, kind, max: burst ?? Math.ceil(count) };
}

const scopes: readonly Scope[] = [
  [],
  ['actor'],
  ['tool'],
  ['channel'],
  ['session'],
  ['actor', 'tool'],
  ['tool', 'actor'],
  ['actor', 'channel', 'session', 'tool'],
];

const rarely = <T>(value: T): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 5 }, fc.constant(value));

/** Amounts and rates that a double counts without rounding, so that the limiter has no excuse. */
const plan: fc.Arbitrary<Plan> = fc.record({
  kind: fc.constantFrom('rate', 'rate', 'rate', 'concurrency'),
  scope: fc.constantFrom(...scopes),
  count: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(0.25, 0.5, 1_000)),
  perMs: fc.constantFrom(1, 250, 1_000, 60_000, 3_600_000, 30 * 86_400_000),
  burst: fc.option(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(0.5, 2.5, 7.75)), {
    nil: undefined,
  }),
  cost: fc.constantFrom(undefined, undefined, 'call', 'cost', 'double'),
  shadow: rarely(true).map((shadow) => shadow === true),
  onlyTool: rarely('x'),
});

export const plans = fc.array(plan, { minLength: 1, maxLength: 4 });

/** Few names, some of which look like another's scope. */
export const requests: fc.Arbitrary<LimitRequest> = fc.record({
  actor: fc.constantFrom(undefined, 'a', 'b', 'tool:x'),
  channel: fc.constantFrom(undefined, 'a'),
  session: fc.constantFrom(undefined, ''),
  tool: fc.constantFrom(undefined, 'x', 'y', 'tool:x'),
  cost: fc.oneof(
    fc.constant(undefined),
    fc.integer({ min: 0, max: 12 }),
    fc.constantFrom(0.25, 1.5),
  ),
});

/** Short, long, and what is just about a refill. */
export const passing = fc.oneof(
  fc.integer({ min: 0, max: 10 }),
  fc.integer({ min: 0, max: 5_000 }),
  fc.constantFrom(249, 250, 999, 1_000, 60_000, 3_600_000),
  fc.integer({ min: 0, max: 40 * 86_400_000 }),
);
