import { RateLimitError } from '../errors.js';

/** A client of `ioredis`, connected or connecting; only what is used of it. */
export interface IoredisLike {
  evalsha(sha: string, keyCount: number, ...rest: (string | number | Buffer)[]): Promise<unknown>;
  eval(script: string, keyCount: number, ...rest: (string | number | Buffer)[]): Promise<unknown>;
}

/** A client of `redis` (node-redis), connected or connecting; only what is used of it. */
export interface NodeRedisLike {
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

export type RedisClient = IoredisLike | NodeRedisLike;

/** One way to run scripts, whichever client it is. */
export interface ScriptClient {
  run(sha: string, keys: string[], values: string[]): Promise<unknown>;
  /** Sends the text, which the server that has the keys knows from then on; there may be many servers. */
  teach(script: string, keys: string[], values: string[]): Promise<unknown>;
}

/** @throws RateLimitError `bad_option` for what is no client of either kind */
export function scriptClient(client: RedisClient): ScriptClient {
  const { evalsha } = client as Partial<IoredisLike>;
  const { evalSha } = client as Partial<NodeRedisLike>;
  if (typeof evalsha === 'function') {
    const own = client as IoredisLike;
    return {
      run: (sha, keys, values) => own.evalsha(sha, keys.length, ...keys, ...values),
      teach: (script, keys, values) => own.eval(script, keys.length, ...keys, ...values),
    };
  }
  if (typeof evalSha === 'function') {
    const own = client as NodeRedisLike;
    return {
      run: (sha, keys, values) => own.evalSha(sha, { keys, arguments: values }),
      teach: (script, keys, values) => own.eval(script, { keys, arguments: values }),
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

/** Whether the script itself failed, by what it was given or found; not so where the server is away, full or may not write. */
export function isScriptFailure(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('ERR ');
}
