import { type OnStoreFailure, type RedisLimit, RedisLimiter } from '@gatebook/ratelimit/redis';
import { createClient } from '@redis/client';
import { type LimitSpec, limitOf } from '../limits.js';

/** A Redis or Valkey in which all gates count that name it, those of other logs and other hosts too. */
export interface RedisPlace {
  /** `redis://` or `rediss://`; may hold a password, so it is shown nowhere. */
  readonly url: string;
  readonly prefix: string;
  readonly onStoreFailure: OnStoreFailure;
  readonly expectedProcesses: number;
}

export interface ConnectedRedis {
  readonly limiter: RedisLimiter;
  /** @throws RateLimitError `bad_limit`, `duplicate_limit`; nothing has changed then */
  setLimits(specs: readonly LimitSpec[]): void;
  /** Forgets what is used of all limits, those of other gates too, and says that none is used beyond that. Rejects where it is away. */
  forget(): Promise<void>;
  close(): void;
}

/** The first call waits so long for the connection; what comes of a store that is away is the limits' business then. */
const connectMs = 2_000;
/** Between two tries to connect, at most. */
const reconnectMsMax = 1_000;

/** Tries to connect, once and for 2 s at most; where that fails, the server counts as away and is tried for on and on. */
export async function connectRedis(
  place: RedisPlace,
  specs: readonly LimitSpec[],
  report: (line: string) => void,
): Promise<ConnectedRedis> {
  const client = createClient({
    url: place.url,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: (tries) => Math.min(50 * (tries + 1), reconnectMsMax) },
  });
  const { prefix, expectedProcesses, onStoreFailure } = place;
  const limitsOf = (some: readonly LimitSpec[]): RedisLimit[] =>
    some.map((spec) => ({ ...limitOf(spec), onStoreFailure }));
  let why = 'it does not answer';
  let isAway = false;
  const changed = (isUp: boolean): void => {
    if (isUp !== isAway) return;
    isAway = !isUp;
    report(isUp ? backText : awayText(place, why));
  };
  const limiter = new RedisLimiter({
    ...{ client, limits: limitsOf(specs), prefix, expectedProcesses },
    onStoreChange: changed,
  });
  const failed = new Promise<boolean>((resolve) => {
    client.on('error', (error: unknown) => {
      why = reasonOf(error);
      resolve(false);
    });
  });
  client.on('ready', () => changed(true));
  const connecting = client.connect().then(
    () => true,
    () => false,
  );
  changed(await patiently([connecting, failed]));
  return {
    limiter,
    setLimits: (next) => limiter.setLimits(limitsOf(next)),
    forget: async () => {
      // Keys of buckets, as RedisLimiter names them; the prefix may hold what a pattern gives a meaning.
      const match = `{${prefix.replace(/[[\]\\?*^-]/g, '\\$&')}}:*#*:*`;
      for await (const keys of client.scanIterator({ MATCH: match, COUNT: 1_000 })) {
        if (keys.length > 0) await client.unlink(keys);
      }
      await limiter.declareUnused();
    },
    close: () => {
      limiter.close();
      client.destroy();
    },
  };
}

const backText = 'gatebook: the Redis of the limits (redis_url) answers again';

const fates: Readonly<Record<OnStoreFailure, string>> = {
  deny: 'no call passes',
  local: 'this process counts by itself',
  allow: 'NO CALL IS LIMITED',
};

function awayText({ onStoreFailure }: RedisPlace, why: string): string {
  return `gatebook: the Redis of the limits (redis_url) is away: ${why}; until it is back ${fates[onStoreFailure]}`;
}

/** False where nothing is known in time. */
async function patiently(connecting: readonly Promise<boolean>[]): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, connectMs, false);
  });
  const isUp = await Promise.race([...connecting, patience]);
  clearTimeout(timer);
  return isUp;
}

/** What a client says may quote its URL, and with it the password. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error ? String(error.code) : error.name;
}
