import type { LimitRequest, RateLimit } from '@gatebook/ratelimit';
import { type RedisClient, send } from './clients.js';

/**
 * What one writes first: the script takes from all limits or from none, by the server's clock. It knows nothing of when the
 * store came to be, nor of a request that comes twice. The suites must find what is wrong with it.
 */
const script = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local wait = 0
local full = {}
for place, key in ipairs(KEYS) do
  local perToken, burst, cost = tonumber(ARGV[3 * place - 2]), tonumber(ARGV[3 * place - 1]), tonumber(ARGV[3 * place])
  full[place] = math.max(now, tonumber(redis.call('GET', key) or 0)) + cost * perToken
  wait = math.max(wait, full[place] - burst * perToken - now)
end
if wait > 0 then return tostring(wait) end
for place, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.6f', full[place]), 'PX', math.max(1, math.ceil(full[place] - now)))
end
return '0'
`;

export interface NaiveAnswer {
  readonly allowed: boolean;
  readonly retryAfterMs: number;
}

export class NaiveStore {
  readonly #client: RedisClient;
  readonly #limits: readonly RateLimit[];
  readonly #timeoutMs: number;

  constructor({
    client,
    limits,
    timeoutMs = 250,
  }: {
    client: RedisClient;
    limits: readonly RateLimit[];
    timeoutMs?: number;
  }) {
    this.#client = client;
    this.#limits = limits;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects when the store does not answer in time. */
  async take(request: LimitRequest): Promise<NaiveAnswer> {
    const keys = this.#limits.map(({ name, scope = [] }) =>
      ['naive', name, ...scope.map((member) => request[member])].join(':'),
    );
    const args = this.#limits.flatMap(({ rate, burst = rate.count }) => [
      String(rate.perMs / rate.count),
      String(burst),
      String(request.cost ?? 1),
    ]);
    const answer = send(this.#client, 'EVAL', script, String(keys.length), ...keys, ...args);
    const waitMs = Number(await inTime(answer, this.#timeoutMs));
    return { allowed: waitMs === 0, retryAfterMs: waitMs };
  }
}

async function inTime<T>(answer: Promise<T>, mostMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${mostMs} ms`)), mostMs);
  });
  answer.catch(() => {});
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
