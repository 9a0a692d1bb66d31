import type { CalendarPeriod, Limit, LimitRequest, Scope } from '@gatebook/ratelimit';
import fc from 'fast-check';

/** A limit as plain data, so that a counterexample can be read. */
export interface Plan {
  readonly kind: 'rate' | 'concurrency' | 'calendar' | 'rolling';
  readonly scope: Scope;
  readonly count: number;
  readonly perMs: number;
  readonly burst: number | undefined;
  readonly calendar: CalendarPeriod;
  readonly maxDebt: number | undefined;
  readonly cost: 'call' | 'cost' | 'double' | undefined;
  readonly shadow: boolean;
  readonly onlyTool: string | undefined;
}

export interface NamedPlan extends Plan {
  readonly name: string;
}

export function limitOf(plan: NamedPlan): Limit {
  const { name, kind, scope, count, perMs, burst, calendar, maxDebt } = plan;
  const { cost, shadow, onlyTool } = plan;
  const common = {
    ...{ name, scope, shadow, maxDebt },
    cost: cost === 'double' ? ({ cost = 1 }: LimitRequest) => 2 * cost : cost,
    match: onlyTool === undefined ? undefined : ({ tool }: LimitRequest) => tool === onlyTool,
  };
  const max = burst ?? Math.ceil(count);
  if (kind === 'rate') return { ...common, rate: { count, perMs }, burst };
  if (kind === 'concurrency') return { ...common, kind, max };
  const period = kind === 'calendar' ? calendar : { rollingMs: 60 * perMs };
  return { ...common, kind: 'quota', max, period };
}

const scopes: readonly Scope[] = [
  [],
  ['actor'],
  ['tool'],
  ['channel'],
  ['session'],
  ['actor', 'tool'],
  ['actor', 'channel', 'session', 'tool'],
];

const calendars: fc.Arbitrary<CalendarPeriod> = fc.record({
  calendar: fc.constantFrom('minute', 'hour', 'day', 'week', 'month'),
  zone: fc.constantFrom('UTC', undefined, 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu'),
});

const rarely = <T>(value: T): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 5 }, fc.constant(value));

/** Periods in ms of which every part that turns up is a double, and any others. */
export const evenMs = [256, 1_024, 4_096, 16_384];
export const oddMs = [1, 7, 250, 1_000, 60_000, 3_600_000, 30 * 86_400_000];

/** Amounts and rates that a double counts without rounding, so that the limiter has no excuse. */
export function planOf(perMs: readonly number[]): fc.Arbitrary<Plan> {
  return fc.record({
    kind: fc.constantFrom('rate', 'rate', 'rate', 'concurrency', 'calendar', 'rolling'),
    scope: fc.constantFrom(...scopes),
    count: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(0, 0.25, 0.5, 1_000)),
    perMs: fc.constantFrom(...perMs),
    burst: fc.option(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(0.5, 2.5, 7.75)), {
      nil: undefined,
    }),
    calendar: calendars,
    maxDebt: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
    cost: fc.constantFrom(undefined, undefined, 'call', 'cost', 'double'),
    shadow: rarely(true).map((shadow) => shadow === true),
    onlyTool: rarely('x'),
  });
}

/** One to four limits with names of their own. */
export function plansOf(perMs: readonly number[]): fc.Arbitrary<NamedPlan[]> {
  return fc
    .array(planOf(perMs), { minLength: 1, maxLength: 4 })
    .map((plans) => plans.map((plan, place) => ({ ...plan, name: `limit ${place}` })));
}

/** Limits whose scopes lie one in another, and that every request meets. */
export function nestedPlansOf(perMs: readonly number[]): fc.Arbitrary<NamedPlan[]> {
  const scopes: readonly Scope[] = [[], ['actor'], ['actor', 'tool']];
  return plansOf(perMs).chain((plans) =>
    fc.tuple(...plans.map(() => fc.constantFrom(...scopes))).map((given) =>
      plans.map((plan, place) => ({
        ...plan,
        scope: given[place] ?? [],
        onlyTool: undefined,
      })),
    ),
  );
}

/** Where the first limit is of a few permits, in everybody's way. */
export function permitPlansOf(perMs: readonly number[]): fc.Arbitrary<NamedPlan[]> {
  return plansOf(perMs).map(([first, ...others]) => [
    {
      ...{ ...first!, kind: 'concurrency', scope: first!.scope.slice(0, 1) },
      ...{ count: 1 + (first!.count % 3), burst: undefined, cost: 'call' },
      ...{ shadow: false, onlyTool: undefined },
    },
    ...others,
  ]);
}

const crowdedPlan = {
  calendar: { calendar: 'day' },
  ...{ maxDebt: undefined, cost: undefined, shadow: false, onlyTool: undefined },
} as const;

/** One bucket for all and one for each of a few, so small and so slow that everybody is in everybody's way. */
export function crowdedPlansOf(counts: readonly number[]): fc.Arbitrary<NamedPlan[]> {
  return fc.tuple(
    ...[[], ['actor'] as const].map((scope: Scope, place) =>
      fc
        .record({
          count: fc.constantFrom(...counts),
          perMs: fc.constantFrom(256, 1_024),
          burst: fc.integer({ min: 2, max: 8 }),
        })
        .map(
          (numbers): NamedPlan => ({
            ...{ ...crowdedPlan, ...numbers, name: `limit ${place}`, kind: 'rate', scope },
          }),
        ),
    ),
  );
}

/** The same, and sometimes a few permits for all, or for each. */
export function crowdedAndFewOf(counts: readonly number[]): fc.Arbitrary<NamedPlan[]> {
  const few = fc.option(
    fc.record({
      scope: fc.constantFrom<Scope>([], ['actor']),
      count: fc.integer({ min: 1, max: 3 }),
    }),
    { nil: undefined },
  );
  return fc.tuple(crowdedPlansOf(counts), few).map(([plans, permits]) => {
    if (permits === undefined) return plans;
    const common = { ...crowdedPlan, perMs: 1, burst: undefined, name: 'few' };
    return [...plans, { ...common, ...permits, kind: 'concurrency' }];
  });
}

export const crowdedRequests: fc.Arbitrary<LimitRequest> = fc.record({
  actor: fc.constantFrom('a', 'b', 'c'),
  cost: fc.integer({ min: 1, max: 4 }),
});

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
  fc.constantFrom(249, 250, 256, 999, 1_000, 60_000, 3_600_000),
  fc.integer({ min: 0, max: 40 * 86_400_000 }),
);

/** Where numbers must stay small enough to be told apart at any rate that comes later. */
export const shortPassing = fc.oneof(
  fc.integer({ min: 0, max: 10 }),
  fc.integer({ min: 0, max: 5_000 }),
  fc.integer({ min: 0, max: 3_600_000 }),
);

/** A few lives of a permit, in each of which it is renewed three times. */
export const lapsesMs = 100_000;

/** Where permits are renewed and lapse on the way. */
export const aroundLapses = fc.oneof(
  fc.integer({ min: 0, max: 10 }),
  fc.integer({ min: 0, max: 5_000 }),
  fc.constantFrom(9_499, 9_500, 20_500, 29_999, 30_000, 30_001),
  fc.integer({ min: 0, max: lapsesMs }),
);
