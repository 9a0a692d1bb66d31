import { type Limit, Limiter, systemClock } from '@gatebook/ratelimit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { clientKinds } from './clients.js';
import { type Failure, failures } from './failures.js';
import { redisIsMissing } from './redis-binary.js';
import { RedisServer } from './redis-server.js';
import { overRedis } from './redis-subject.js';
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
    keys: async () => limiter.counters().reduce((sum, { keys }) => sum + keys, 0),
    close: async () => {},
  };
}

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

  describe('does not in memory', () => {
    test.each(failures)('$name', async ({ holds }: Failure) => {
      await holds(noted(inMemory));
    });
  });

  describe.skipIf(redisIsMissing()).each(clientKinds)('does not over Redis, by %s', (kind) => {
    let server: RedisServer;
    beforeAll(async () => {
      server = await RedisServer.start({ wallClock: true });
    });
    afterAll(() => server.stop());

    test.each(failures)('$name', async ({ holds }: Failure) => {
      await holds(noted(overRedis(kind, () => server)));
    });
  });

  // Each check on a limiter that is wrong in that way: one that lets it through would show nothing.
  test.each(failures)('is found in a naive limiter: $name', async ({ holds, naive }: Failure) => {
    await expect(holds(noted(naive))).rejects.toThrow(/expected/);
  });
});
