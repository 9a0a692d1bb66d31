import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitRequest } from '@gatebook/ratelimit';
import { RedisLimiter } from '@gatebook/ratelimit/redis';
import { clientKinds, openClient, type RedisClient } from './clients.js';
import { NaiveStore } from './naive-store.js';
import { type Order, type Report, type Taken, takerLimits } from './takers.js';

/** A process that takes as fast as it may, several calls at once, and notes when each grant was asked for and heard of. */

interface Store {
  take(request: LimitRequest): Promise<{ allowed: boolean; retryAfterMs: number }>;
  close?(): void;
}

function open(store: Order['store'], client: RedisClient): Store {
  const options = { client, limits: takerLimits };
  return store === 'naive' ? new NaiveStore(options) : new RedisLimiter(options);
}

/** The same clock in every process of the machine. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const longestPauseMs = 25;

async function run(order: Order): Promise<void> {
  const client = await openClient(clientKinds[order.place % clientKinds.length]!, order);
  const store = open(order.store, client.client);
  const taken: Taken[] = [];
  const counts = { refused: 0, failed: 0, slowestMs: 0 };
  let isOver = false;
  const go = async (place: number): Promise<void> => {
    for (let call = place; !isOver; call += 7) {
      const actor = `actor-${call % order.actors}`;
      const sentMs = now();
      const answer = await store.take({ actor }).catch(() => undefined);
      const receivedMs = now();
      counts.slowestMs = Math.max(counts.slowestMs, receivedMs - sentMs);
      if (answer?.allowed) {
        taken.push({ actor, sentMs, receivedMs, cost: 1 });
        continue;
      }
      if (answer === undefined) counts.failed++;
      else counts.refused++;
      await sleep(Math.min(longestPauseMs, Math.max(1, answer?.retryAfterMs ?? longestPauseMs)));
    }
  };
  process.once('message', async () => {
    const loops = Array.from({ length: order.inFlight }, (_, loop) => go(order.place + loop));
    process.once('message', async () => {
      isOver = true;
      await Promise.all(loops);
      const report: Report = { taken, ...counts };
      process.send!(report, undefined, {}, () => {
        store.close?.();
        client.close();
        process.disconnect();
      });
    });
  });
  process.send!('ready');
}

await run(JSON.parse(process.argv[2]!) as Order);
