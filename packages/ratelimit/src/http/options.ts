import type { Refusal } from '../decision.js';
import type { Limit } from '../limit.js';
import type { LimitRequest } from '../request.js';
import type { ClientKeyOptions } from './client-keys.js';
import type { Problem } from './problem.js';
import type { RequestLimiter } from './request-limiter.js';

/** What a middleware does; `Request` is what its framework calls a request. */
export interface HttpLimitOptions<Request> extends ClientKeyOptions {
  readonly limiter: RequestLimiter;
  /**
   * The limits of the limiter, as far as clients are to be told of them in `RateLimit-Policy`; none by default. A function where they
   * change while they are in use: `() => limiter.limits`.
   */
  readonly limits?: readonly Limit[] | (() => readonly Limit[]) | undefined;
  /** What a request asks of the limiter; by default `{ actor: client }`, with the key of the client's address. */
  readonly requestOf?:
    | ((request: Request, client: string) => LimitRequest | Promise<LimitRequest>)
    | undefined;
  /** The address of the connection, where it is not a Node socket's. */
  readonly addressOf?: ((request: Request) => string | undefined) | undefined;
  /** Requests that are let in without asking, such as health checks. */
  readonly skip?: ((request: Request) => boolean | Promise<boolean>) | undefined;
  /** How long a request may wait instead of being refused, in ms: 0 by default. It gives up when its client does. */
  readonly waitMs?: number | undefined;
  /** Whether `RateLimit` and `RateLimit-Policy` are sent: true by default. `Retry-After` is sent in any case. */
  readonly fields?: boolean | undefined;
  /** Adds a partition key to `RateLimit`: what tells clients apart, hashed with this. None by default. */
  readonly partitionSecret?: string | undefined;
  /**
   * What becomes of a request when the limiter fails, since its store is away: `deny` answers 503, and is the default; `allow` lets it
   * in. What is wrong with the request itself (`bad_request`), or thrown by an option, is answered 500 in any case, and a store that may
   * evict what is counted (`bad_store`) 503.
   */
  readonly onFailure?: 'deny' | 'allow' | undefined;
  /** Is told why; `console.error` by default. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Another answer to refused requests than the problem. */
  readonly refuse?:
    | ((refusal: Refusal, request: Request, problem: Problem) => RefusalBody | Promise<RefusalBody>)
    | undefined;
}

export interface RefusalBody {
  /** That of the problem by default. */
  readonly status?: number | undefined;
  /** `application/problem+json` by default. */
  readonly contentType?: string | undefined;
  readonly body: string;
}
