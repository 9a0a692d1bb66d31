import { type Limit, Limiter, systemClock } from '@gatebook/ratelimit';
import { afterEach, describe, expect, test } from 'vitest';
import { type Failure, failures } from './failures.js';
import type { Open, Subject } from './subject.js';

/** In memory, by the system's clocks, of which the wall clock can be set. */
async function inMemory(limits: readonly Limit[]): Promise<Subject> {
  let aheadMs = 0;
  const clock = { ...systemClock, wall: () => systemClock.wall() + aheadMs };
  const limiter = new Limiter({ limits, clock });
  return {
    take: async (request) => limiter.take(request),
    wait: (request, options) => limiter.wait(request, options),
    stepWall: async (ms) => {
      aheadMs += ms;
    },
    close: async () => {},
  };
}

const stores: readonly { readonly store: string; readonly open: Open }[] = [
  { store: 'memory', open: inMemory },
];

describe('what goes wrong elsewhere', () => {
  const opened: Subject[] = [];
  const noted =
    (open: Open): Open =>
    async (limits) => {
      const subject = await open(limits);
      opened.push(subject);
      return subject;
    };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((subject) => subject.close()));
  });

  describe.each(stores)('does not in $store', ({ open }) => {
    test.each(failures)('$name', async ({ holds }: Failure) => {
      await holds(noted(open));
    });
  });

  // Each check on a limiter that is wrong in that way: one that lets it through would show nothing.
  test.each(failures)('is found in a naive limiter: $name', async ({ holds, naive }: Failure) => {
    await expect(holds(noted(naive))).rejects.toThrow(/expected/);
  });
});
