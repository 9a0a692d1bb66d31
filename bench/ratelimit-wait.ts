import { type Limit, Limiter } from '@gatebook/ratelimit';
import { TokenBucket } from 'limiter';
import PQueue from 'p-queue';
import { type Answer, atMost, cellOf, type Measures, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import { names } from './ratelimit-names.js';
import { type Contender, runRounds } from './rounds.js';

const burst = 50;
const column = 's until all are served';

/** How long does it take until all who wait are served? */
export async function ratelimitWait({ plan, workspace }: Bench): Promise<Answer> {
  const { waiters } = plan.ratelimit;
  const idealS = (waiters - burst) / waiters;
  const all: Limit = { name: 'all', rate: { count: waiters, perMs: 1_000 }, burst };
  const user: Limit = {
    name: 'user',
    scope: ['actor'],
    rate: { count: 1, perMs: 1_000 },
    burst: 1,
  };
  const own = (
    name: string,
    limits: readonly Limit[],
    actorOf: (i: number) => string,
    timeoutMs?: number,
  ): Contender =>
    contender(name, waiters, () => {
      const limiter = new Limiter({ limits });
      return async (i) => {
        const { allowed } = await limiter.wait({ actor: actorOf(i) }, { timeoutMs });
        if (!allowed) throw new Error('one that waits is refused');
      };
    });
  const rounds = await runRounds(
    plan,
    [
      own(names.own, [all], () => 'one'),
      own(`${names.own}, deadlines of a minute`, [all], () => 'one', 60_000),
      own(`${names.own}, a limit a user besides`, [all, user], (i) => `user ${i}`),
      contender(names.limiter, waiters, () => {
        const bucket = new TokenBucket({
          bucketSize: burst,
          tokensPerInterval: waiters,
          interval: 1_000,
        });
        bucket.content = burst;
        return async () => void (await bucket.removeTokens(1));
      }),
      contender(names.queue, waiters, () => {
        const queue = new PQueue({ intervalCap: burst, interval: (burst * 1_000) / waiters });
        return async () => void (await queue.add(async () => {}));
      }),
    ],
    workspace.settle,
  );
  return {
    question: 'ratelimit-wait',
    title: 'Waiting',
    method: [
      `${waiters.toLocaleString('en')} callers at once, at ${waiters.toLocaleString('en')} a second and a burst of ${burst}: no sooner than ${idealS} s. p-queue: ${burst} every ${(burst * 1_000) / waiters} ms. A contender that is done sooner than that by more than 2 % stops the run.`,
    ],
    tables: [tableOf('Until all are served', rounds)],
    targets: [
      atMost(
        'waiting, all served',
        cellOf(rounds, names.own, column).median,
        1.02,
        's',
        'timers of the system that come late by more than the burst covers.',
      ),
      atMost(
        'waiting with a limit a user besides, all served',
        cellOf(rounds, `${names.own}, a limit a user besides`, column).median,
        1.02,
        's',
        'as above.',
      ),
    ],
  };

  function contender(
    name: string,
    count: number,
    make: () => (i: number) => Promise<void>,
  ): Contender {
    return {
      name,
      async measure(): Promise<Measures> {
        const wait = make();
        const since = performance.now();
        await Promise.all(Array.from({ length: count }, (_, i) => wait(i)));
        const seconds = (performance.now() - since) / 1_000;
        if (seconds < idealS * 0.98) throw new Error(`${name} serves sooner than it may`);
        return { [column]: seconds };
      },
    };
  }
}
