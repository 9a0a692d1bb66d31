import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitRequest } from '@gatebook/ratelimit';
import { LeasedLimiter, RedisLimiter } from '@gatebook/ratelimit/redis';
import { clientKinds, openClient, type RedisClient } from './clients.js';
import { NaiveStore } from './naive-store.js';
import {
  globalLimit,
  type Order,
  overshoot,
  type Report,
  type Taken,
  takerLimits,
} from './takers.js';

/** A process that takes as fast as it may, several calls at once, and notes when each grant was asked for and heard of. */

interface Store {
  ask(request: LimitRequest): Promise<{ allowed: boolean; retryAfterMs: number }>;
  close?(): void;
}

function open({ store, by, processes }: Order, client: RedisClient): Store {
  const options = { client, limits: takerLimits };
  if (store === 'naive') {
    const naive = new NaiveStore(options);
    return { ask: (request) => naive.take(request) };
  }
  const limiter =
    store === 'leased'
      ? new LeasedLimiter({
          ...options,
          leases: { [globalLimit.name]: { overshoot } },
          expectedProcesses: processes,
        })
      : new RedisLimiter(options);
  return {
    ask: (request) => (by === 'take' ? limiter.take(request) : limiter.wait(request, waiting)),
    close: () => limiter.close(),
  };
}

/** So that those who wait end with the run. */
const waiting = { timeoutMs: 4_000 };

/** The same clock in every process of the machine. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const longestPauseMs = 25;

/**
 * The last two times at which this process was seen to run. Who waits is let in at the moment at which the wait ends, and not at some
 * time since it began; that is seen late where the process stood still meanwhile, or where an answer was on its way, as it may be for
 * as long as the time-out.
 */
class Heartbeat {
  #last = now();
  #before = this.#last;

  constructor() {
    setInterval(() => {
      this.#before = this.#last;
      this.#last = now();
    }, 10).unref();
  }

  /** The earliest at which what is seen now may have been so. */
  get seenSinceMs(): number {
    return this.#before - 250;
  }
}

async function run(order: Order): Promise<void> {
  const client = await openClient(clientKinds[order.place % clientKinds.length]!, order);
  const store = open(order, client.client);
  const taken: Taken[] = [];
  const counts = { refused: 0, failed: 0, slowestMs: 0 };
  const heartbeat = new Heartbeat();
  let isOver = false;
  const go = async (place: number): Promise<void> => {
    for (let call = place; !isOver; call += 7) {
      const actor = `actor-${call % order.actors}`;
      const sentMs = now();
      const answer = await store.ask({ actor }).catch(() => undefined);
      const receivedMs = now();
      counts.slowestMs = Math.max(counts.slowestMs, receivedMs - sentMs);
      if (answer?.allowed) {
        const sinceMs = order.by === 'take' ? sentMs : Math.max(sentMs, heartbeat.seenSinceMs);
        taken.push({ actor, sentMs: sinceMs, receivedMs, cost: 1 });
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
