import { type RedisLimit, RedisLimiter } from '@gatebook/ratelimit/redis';
import { type ClientKind, openClient } from './clients.js';
import { eventually, type RedisServer } from './redis-server.js';
import type { Open, Subject } from './subject.js';

/** For tests that are not about time-outs. */
export const patientMs = 5_000;

/** Has the store take all for unused that it knows nothing of, as one that has been there for long; tries again on a machine that has much to do. */
export async function makeOld(limiter: RedisLimiter): Promise<void> {
  await eventually(
    () =>
      limiter.declareUnused().then(
        () => true,
        () => false,
      ),
    () => 'the store does not answer',
  );
}

let made = 0;

/** A prefix that no other test has. */
export function freshPrefix(): string {
  return `test-${process.pid}-${made++}`;
}

/**
 * Limiters over one server, each with a prefix of its own, that have been there for longer than any bucket takes to fill: whoever made
 * the store says so.
 */
export function overRedis(kind: ClientKind, serverOf: () => RedisServer): Open {
  return async (limits) => await openSubject(kind, serverOf(), limits);
}

async function openSubject(
  kind: ClientKind,
  server: RedisServer,
  limits: readonly RedisLimit[],
): Promise<Subject> {
  const { client, close } = await openClient(kind, server);
  const prefix = freshPrefix();
  const limiter = new RedisLimiter({ limits, client, prefix, timeoutMs: patientMs });
  await makeOld(limiter);
  return {
    take: (request) => limiter.take(request),
    wait: (request, options) => limiter.wait(request, options),
    stepWall: (ms) => server.setClock(ms / 1_000),
    keys: async () => ((await server.command('keys', `{${prefix}}:*`)) as string[]).length,
    close: async () => {
      limiter.close();
      close();
      await server.setClock(0);
    },
  };
}
