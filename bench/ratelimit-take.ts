import { Limiter, ManualClock } from '@gatebook/ratelimit';
import {
  type Answer,
  atLeast,
  type Measures,
  quantile,
  type Round,
  ratioOf,
  ratioTable,
  tableOf,
} from './answer.js';
import type { Bench } from './bench.js';
import { HandGcra } from './hand-gcra.js';
import type { Random } from './random.js';
import {
  type AsyncTaker,
  type Call,
  fastifySingle,
  flexibleSingle,
  handTaker,
  type Levels,
  limiterSingle,
  limiterTaker,
  limitsOf,
  ownSingle,
  ownTaker,
  type Taker,
  unionTaker,
} from './ratelimit-contenders.js';
import { names } from './ratelimit-names.js';
import { type Contender, runRounds } from './rounds.js';

const tools = ['read_file', 'write_file', 'search', 'fetch_url'];
const dayMs = 86_400_000;
const columns = { random: 'random M/s', order: 'in order M/s', denied: 'denied M/s' };
/** No bucket is used up by what a round takes, and none is full again before its next turn, so every key stays. */
const open: Levels = [
  { name: 'all', count: 1e9, perMs: 1_000 },
  { name: 'user', count: 1e5, perMs: dayMs },
  { name: 'pair', count: 1e5, perMs: dayMs },
];
/** Each user has one, and no other comes back meanwhile. */
const spent: Levels = [open[0], { name: 'user', count: 1, perMs: 365 * dayMs }, open[2]];
const small: Levels = [
  { name: 'all', count: 600, perMs: dayMs },
  { name: 'user', count: 20, perMs: dayMs },
  { name: 'pair', count: 8, perMs: dayMs },
];
/** What is awaited one by one is slow, so it gets a part of the calls. */
const awaitedPart = 0.1;

/** How fast is a decision in memory, at three levels and at one? */
export async function ratelimitTake({ plan, workspace, random }: Bench): Promise<Answer> {
  const { users, takes } = plan.ratelimit;
  const callOf = (user: number): Call => ({
    actor: `user${String(user).padStart(8, '0')}`,
    tool: tools[user % tools.length]!,
  });
  const calls: Calls = {
    order: Array.from({ length: users }, (_, user) => callOf(user)),
    random: Array.from({ length: takes }, () => callOf(random.between(0, users))),
  };
  await expectAlike(random);
  const single = (levels: Levels) => levels[1];
  const three = await runRounds(
    plan,
    [
      syncContender(calls, ownTaker),
      syncContender(calls, handTaker),
      syncContender(calls, limiterTaker),
      asyncContender(calls, unionTaker),
    ],
    workspace.settle,
  );
  const one = await runRounds(
    plan,
    [
      syncContender(calls, (levels) => ownSingle(single(levels))),
      syncContender(calls, (levels) => limiterSingle(single(levels))),
      syncContender(calls, (levels) => fastifySingle(single(levels), users)),
      asyncContender(calls, (levels) => flexibleSingle(single(levels))),
    ],
    workspace.settle,
  );
  const all = Object.values(columns);
  const peersOf = (rounds: readonly Round[]) => [...(rounds[0]?.keys() ?? [])].slice(1);
  return {
    question: 'ratelimit-take',
    title: 'Decisions in memory',
    method: [
      `Three levels: one bucket for all, one a user, one a user and tool; ${users.toLocaleString('en')} users with names of 12 characters. Random: ${takes.toLocaleString('en')} calls, each an object with strings of its own, of users in random order. In order: the users one after the other, as many calls. Denied: the random calls, when each user has used up a bucket.`,
      'Before anything is timed, all that take from all or nothing decide 5,000 calls alike at limits that some of them meet, and gatebook and the hand-written one give the same whole answers by one clock.',
      'Hand-written: a Map of users, in each a Map of tools, one Float64Array; no check of requests, no bound of keys, no refund, no counters.',
      `What is awaited gets ${awaitedPart * 100} % of the calls. rate-limiter-flexible’s Union charges the other limits for what one refuses.`,
    ],
    tables: [
      tableOf('Three levels', three),
      ratioTable('Three levels: ratios', three, names.own, peersOf(three), all),
      tableOf('One level', one),
      ratioTable('One level: ratios', one, names.own, peersOf(one), all),
    ],
    targets: targets(three),
  };
}

function targets(three: readonly Round[]): Answer['targets'] {
  const { random, order, denied } = columns;
  const median = (column: string) =>
    quantile(
      three.map((round) => round.get(names.own)?.[column] ?? 0),
      0.5,
    );
  const deniedToAllowed = quantile(
    three.map((round) => {
      const own = round.get(names.own);
      return (own?.[denied] ?? 0) / (own?.[random] ?? 1);
    }),
    0.5,
  );
  const limit = 'finding the two keys of a call in tables that no cache of the processor holds.';
  return [
    atLeast(
      'three levels, random users, ÷ hand-written',
      ratioOf(three, names.own, names.hand, random).median,
      0.7,
      '×',
      limit,
    ),
    atLeast(
      'three levels, random users, ÷ limiter',
      ratioOf(three, names.own, names.limiter, random).median,
      2.5,
      '×',
      limit,
    ),
    atLeast(
      'three levels, users in order',
      median(order),
      5,
      'M/s',
      'the clock of the machine and its caches; whatever else runs on it counts.',
    ),
    atLeast(
      'a denial ÷ an allowance, random users',
      deniedToAllowed,
      1,
      '×',
      'the time until it would be let in, which is worked out for each denial.',
    ),
  ];
}

interface Calls {
  readonly order: readonly Call[];
  readonly random: readonly Call[];
}

function syncContender(calls: Calls, make: (levels: Levels) => Taker): Contender {
  const taker = make(open);
  const denier = make(spent);
  // Users are met in order first, so that order is what their keys lie in.
  for (const call of calls.order) {
    taker.take(call);
    denier.take(call);
  }
  const time = ({ take }: Taker, list: readonly Call[], times: number, isIn: boolean): number => {
    let done = 0;
    const since = performance.now();
    for (let turn = 0; turn < times; turn++)
      for (let i = 0; i < list.length; i++) if (take(list[i]!) === isIn) done++;
    const ms = performance.now() - since;
    if (done !== list.length * times) throw new Error('it did not decide as it should');
    return done / ms / 1_000;
  };
  const times = Math.max(1, Math.round(calls.random.length / calls.order.length));
  return {
    name: taker.name,
    measure: async (): Promise<Measures> => ({
      [columns.random]: time(taker, calls.random, 1, true),
      [columns.order]: time(taker, calls.order, times, true),
      [columns.denied]: time(denier, calls.random, 1, false),
    }),
  };
}

function asyncContender(calls: Calls, make: (levels: Levels) => AsyncTaker): Contender {
  const taker = make(open);
  const time = async (list: readonly Call[]): Promise<number> => {
    const part = list.slice(0, Math.ceil(list.length * awaitedPart));
    const since = performance.now();
    for (const call of part) await taker.take(call);
    return part.length / (performance.now() - since) / 1_000;
  };
  return {
    name: taker.name,
    measure: async () => ({
      [columns.random]: await time(calls.random),
      [columns.order]: await time(calls.order),
    }),
  };
}

/** Throws unless all who should decide alike do. */
async function expectAlike(random: Random): Promise<void> {
  const calls = Array.from({ length: 5_000 }, () => ({
    actor: `user${random.between(0, 50)}`,
    tool: tools[random.between(0, tools.length)]!,
  }));
  const decisions = async (taker: Taker | AsyncTaker): Promise<string> => {
    let all = '';
    for (const call of calls) all += (await taker.take(call)) ? '1' : '0';
    return all;
  };
  const groups = [
    [ownTaker(small), handTaker(small), limiterTaker(small)],
    [
      ownSingle(small[1]),
      limiterSingle(small[1]),
      fastifySingle(small[1], 1_000),
      flexibleSingle(small[1]),
    ],
  ];
  for (const group of groups) {
    const [own, ...others] = await Promise.all(group.map(decisions));
    if (own === undefined || !own.includes('1') || !own.includes('0'))
      throw new Error('the calls do not try the limits');
    for (const [i, other] of others.entries())
      if (other !== own) throw new Error(`${group[i + 1]?.name} decides otherwise`);
  }
  const clock = new ManualClock();
  const own = new Limiter({ limits: limitsOf(small), clock });
  const hand = new HandGcra(small, clock.now);
  for (const call of calls) {
    clock.advance(random.between(0, 100) ** 2);
    const one = own.take(call);
    const other = hand.take(call);
    const isAlike =
      one.allowed === other.allowed &&
      one.by === other.by &&
      one.remaining === other.remaining &&
      one.limit === other.limit &&
      one.retryAfterMs === other.retryAfterMs &&
      // Rounded up from what rounding may have raised by a little.
      Math.abs(one.resetMs - other.resetMs) <= 1;
    if (!isAlike) throw new Error(`the answers differ: ${JSON.stringify([one, other])}`);
  }
}
