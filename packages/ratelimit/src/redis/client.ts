import { RateLimitError } from '../errors.js';

/** A client of `ioredis`, connected or connecting; only what is used of it. */
export interface IoredisLike {
  evalsha(sha: string, keyCount: number, ...rest: (string | number | Buffer)[]): Promise<unknown>;
  script(subcommand: 'LOAD', script: string): Promise<unknown>;
}

/** A client of `redis` (node-redis), connected or connecting; only what is used of it. */
export interface NodeRedisLike {
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  scriptLoad(script: string): Promise<unknown>;
}

export type RedisClient = IoredisLike | NodeRedisLike;

/** One way to run scripts, whichever client it is. */
export interface ScriptClient {
  run(sha: string, keys: string[], values: string[]): Promise<unknown>;
  load(script: string): Promise<string>;
}

/** @throws RateLimitError `bad_option` for what is no client of either kind */
export function scriptClient(client: RedisClient): ScriptClient {
  const { evalsha } = client as Partial<IoredisLike>;
  const { evalSha } = client as Partial<NodeRedisLike>;
  if (typeof evalsha === 'function') {
    const own = client as IoredisLike;
    return {
      run: (sha, keys, values) => own.evalsha(sha, keys.length, ...keys, ...values),
      load: async (script) => String(await own.script('LOAD', script)),
    };
  }
  if (typeof evalSha === 'function') {
    const own = client as NodeRedisLike;
    return {
      run: (sha, keys, values) => own.evalSha(sha, { keys, arguments: values }),
      load: async (script) => String(await own.scriptLoad(script)),
    };
  }
  throw new RateLimitError(
    'bad_option',
    'client is neither a client of ioredis nor one of redis (node-redis); give one that you made with new Redis(…) or createClient(…)',
  );
}

/** Whether the server has forgotten the script: it was restarted, or its scripts were flushed. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}
