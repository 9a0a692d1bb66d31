import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import * as naive from './naive-limiters.js';
import type { Open } from './subject.js';

const dayMs = 86_400_000;

/** What goes wrong elsewhere: what must hold, and a limiter of which it does not. */
export interface Failure {
  readonly name: string;
  readonly naive: Open;
  /** Rejects where it does not hold. */
  readonly holds: (open: Open) => Promise<void>;
}

/** How long answers may take on a machine that has much to do; every time that is looked at differs by more from the wrong one. */
const slackMs = 250;

async function allowedOf(
  count: number,
  take: () => Promise<{ allowed: boolean }>,
): Promise<number> {
  let allowed = 0;
  for (let call = 0; call < count; call++) if ((await take()).allowed) allowed++;
  return allowed;
}

export const failures: readonly Failure[] = [
  {
    name: 'the global bucket is not charged for a call that the user’s refused',
    naive: naive.chargesTheGlobalFirst,
    holds: async (open) => {
      const subject = await open([
        { name: 'user', scope: ['actor'], rate: { count: 2, perMs: dayMs } },
        { name: 'global', rate: { count: 20, perMs: dayMs } },
      ]);
      expect(await allowedOf(50, () => subject.take({ actor: 'greedy' }))).toBe(2);
      let other = 0;
      expect(await allowedOf(30, () => subject.take({ actor: `user-${other++}` }))).toBe(18);
    },
  },
  {
    name: 'a denied call costs nothing',
    naive: naive.chargesTheDenied,
    holds: async (open) => {
      const subject = await open([{ name: 'all', rate: { count: 10, perMs: dayMs } }]);
      expect((await subject.take({ cost: 8 })).allowed).toBe(true);
      expect((await subject.take({ cost: 5 })).allowed).toBe(false);
      expect((await subject.take({ cost: 1 })).allowed).toBe(true);
      expect((await subject.take({ cost: 1 })).allowed).toBe(true);
      expect((await subject.take({ cost: 1 })).allowed).toBe(false);
    },
  },
  {
    name: 'an aborted waiter gives back its token',
    naive: naive.keepsWhatWasAborted,
    holds: async (open) => {
      const subject = await open([{ name: 'all', rate: { count: 5, perMs: 1_000 }, burst: 1 }]);
      expect((await subject.take({})).allowed).toBe(true);
      const abort = new AbortController();
      const waiters = Array.from({ length: 5 }, () => subject.wait({}, { signal: abort.signal }));
      await sleep(20);
      abort.abort();
      for (const outcome of await Promise.allSettled(waiters))
        expect(outcome.status).toBe('rejected');
      const begun = performance.now();
      expect((await subject.wait({})).allowed).toBe(true);
      expect(performance.now() - begun).toBeLessThan(200 + slackMs);
    },
  },
  {
    name: 'a take does not overtake who waits',
    naive: naive.knowsNoQueue,
    holds: async (open) => {
      const subject = await open([{ name: 'all', rate: { count: 50, perMs: 1_000 }, burst: 10 }]);
      expect((await subject.take({ cost: 10 })).allowed).toBe(true);
      let isServed = false;
      const heavy = subject.wait({ cost: 10 }, { timeoutMs: 1_500 }).then((answer) => {
        isServed = true;
        return answer;
      });
      await sleep(5);
      let overtook = 0;
      while (!isServed) {
        // The answer may have been on its way when the other was served.
        if ((await subject.take({ cost: 1 })).allowed && !isServed) overtook++;
        await sleep(5);
      }
      expect((await heavy).allowed).toBe(true);
      expect(overtook).toBeLessThanOrEqual(1);
    },
  },
  {
    name: 'a window of 30 days with 1 call lets in 1 of 5',
    naive: naive.endsWindowsByTimer,
    holds: async (open) => {
      const subject = await open([{ name: 'all', rate: { count: 1, perMs: 30 * dayMs } }]);
      const allowed = await allowedOf(5, async () => {
        await sleep(10);
        return await subject.take({});
      });
      expect(allowed).toBe(1);
      expect((await subject.take({})).retryAfterMs).toBeGreaterThan(29.9 * dayMs);
    },
  },
  {
    name: 'a wall clock set back by an hour blocks nobody',
    naive: naive.goesByTheWallClock,
    holds: async (open) => {
      const subject = await open([{ name: 'all', rate: { count: 10, perMs: 1_000 }, burst: 1 }]);
      expect((await subject.take({})).allowed).toBe(true);
      await subject.stepWall(-3_600_000);
      await sleep(150);
      const begun = performance.now();
      while (!(await subject.take({})).allowed) {
        expect(performance.now() - begun).toBeLessThan(1_000);
        await sleep(10);
      }
    },
  },
  {
    name: 'many waiters need no timer each',
    naive: naive.knowsNoQueue,
    holds: async (open) => {
      const subject = await open([{ name: 'all', rate: { count: 500, perMs: 1_000 }, burst: 1 }]);
      const timers = (): number =>
        process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
      const before = timers();
      const waiters = Array.from({ length: 200 }, () => subject.wait({}));
      await sleep(50);
      expect(timers() - before).toBeLessThan(20);
      for (const answer of await Promise.all(waiters)) expect(answer.allowed).toBe(true);
    },
  },
  {
    name: 'a key that is not full again is not forgotten for others',
    naive: naive.forgetsTheOldest,
    holds: async (open) => {
      const limit = { name: 'user', scope: ['actor'], rate: { count: 1, perMs: dayMs } } as const;
      const subject = await open([{ ...limit, maxKeys: 50 }]);
      expect((await subject.take({ actor: 'first' })).allowed).toBe(true);
      let other = 0;
      await allowedOf(100, () => subject.take({ actor: `user-${other++}` }));
      expect((await subject.take({ actor: 'first' })).allowed).toBe(false);
    },
  },
  {
    name: 'keys that are full again are not kept for ever',
    naive: naive.forgetsNothing,
    holds: async (open) => {
      const limit = { name: 'user', scope: ['actor'], rate: { count: 1, perMs: 1 } } as const;
      const subject = await open([{ ...limit, maxKeys: 50 }]);
      for (let user = 0; user < 400; user++) {
        expect((await subject.take({ actor: `user-${user}` })).allowed).toBe(true);
        if (user % 25 === 0) await sleep(5);
      }
      // What a store keeps for those who try again is gone by then too.
      await subject.stepWall(60_000);
      expect(await subject.keys()).toBeLessThanOrEqual(100);
    },
  },
  {
    name: 'a limit of 0 lets in nobody',
    naive: naive.countsWholeOnly,
    holds: async (open) => {
      const subject = await open([{ name: 'all', rate: { count: 0, perMs: 1_000 } }]);
      const answer = await subject.take({});
      expect(answer).toMatchObject({ allowed: false, retryAfterMs: Number.POSITIVE_INFINITY });
      const begun = performance.now();
      expect((await subject.wait({}, { timeoutMs: 10_000 })).allowed).toBe(false);
      expect(performance.now() - begun).toBeLessThan(2_000);
    },
  },
  {
    name: 'a rate may be a fraction',
    naive: naive.countsWholeOnly,
    holds: async (open) => {
      // One each 400 ms; rounded down it would be one each 500 ms.
      const subject = await open([{ name: 'all', rate: { count: 2.5, perMs: 100_000 }, burst: 1 }]);
      expect((await subject.take({})).allowed).toBe(true);
      const { retryAfterMs } = await subject.take({});
      expect(retryAfterMs).toBeLessThanOrEqual(40_001);
      expect(retryAfterMs).toBeGreaterThan(38_000);
    },
  },
  {
    name: 'a user called tool:x is only that',
    naive: naive.joinsByColons,
    holds: async (open) => {
      const subject = await open([
        { name: 'user', scope: ['actor'], rate: { count: 1, perMs: dayMs } },
        { name: 'tool', scope: ['tool'], rate: { count: 1, perMs: dayMs } },
        { name: 'both', scope: ['actor', 'tool'], rate: { count: 1, perMs: dayMs } },
      ]);
      const others = [
        { actor: 'tool:x', tool: 'y' },
        { actor: 'z', tool: 'x' },
        { actor: 'z:tool:x', tool: '' },
        { actor: '', tool: 'tool:x' },
      ];
      for (const request of others) expect((await subject.take(request)).allowed).toBe(true);
      for (const request of others) expect((await subject.take(request)).allowed).toBe(false);
    },
  },
];
