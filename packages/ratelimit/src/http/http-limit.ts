import { RateLimitError } from '../errors.js';
import type { Limit } from '../limit.js';
import type { LimitRequest } from '../request.js';
import { clientKeys, type RequestOrigin } from './client-keys.js';
import type { Connection } from './connection.js';
import { type Fields, FieldWriter, retryAfterS } from './fields.js';
import type { HttpLimitOptions, RefusalBody } from './options.js';
import { type Problem, problemOf, serverError, unavailable } from './problem.js';
import type { Admission, Answer } from './request-limiter.js';

/** What a framework does with a request: goes on and sends the fields, answers, or nothing, since nobody listens any more. */
export type Verdict =
  | { readonly kind: 'pass'; readonly fields: Fields }
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly fields: Fields;
      readonly body: string;
    }
  | { readonly kind: 'gone' };

const noFields: Fields = [];
const gone: Verdict = { kind: 'gone' };

/** What the middlewares share: from a request of any framework to what it is answered. */
export class HttpLimit<Request> {
  readonly #options: HttpLimitOptions<Request>;
  readonly #originOf: (request: Request) => RequestOrigin;
  readonly #keyOf: (origin: RequestOrigin) => string;
  #writer: FieldWriter;
  #limits: readonly Limit[];
  readonly #waitMs: number;

  /** @throws RateLimitError `bad_option` */
  constructor(options: HttpLimitOptions<Request>, originOf: (request: Request) => RequestOrigin) {
    const { limits = [], partitionSecret, waitMs = 0, limiter, onFailure } = options;
    if (!(waitMs >= 0))
      throw new RateLimitError('bad_option', `waitMs is ${waitMs}, not a number of 0 or more`);
    if (waitMs > 0 && limiter.wait === undefined)
      throw new RateLimitError('bad_option', 'waitMs needs a limiter that has `wait`');
    if (onFailure !== undefined && onFailure !== 'deny' && onFailure !== 'allow')
      throw new RateLimitError(
        'bad_option',
        `onFailure is ${JSON.stringify(onFailure)}; there is deny, allow`,
      );
    this.#options = options;
    this.#originOf = originOf;
    this.#keyOf = clientKeys(options);
    this.#limits = typeof limits === 'function' ? limits() : limits;
    this.#writer = new FieldWriter(this.#limits, partitionSecret);
    this.#waitMs = waitMs;
  }

  /** Never rejects. What was let in gives its permits back when the connection closes. */
  async decide(request: Request, connection: Connection): Promise<Verdict> {
    let asked: LimitRequest;
    try {
      if ((await this.#options.skip?.(request)) === true) return { kind: 'pass', fields: noFields };
      asked = await this.#asked(request);
    } catch (error) {
      return this.#failed(error, serverError);
    }
    let answer: Answer;
    try {
      answer = await this.#ask(asked, connection);
    } catch (error) {
      return connection.isClosed ? gone : this.#limiterFailed(error);
    }
    if (answer.allowed) connection.onClose(this.#releaseOf(answer));
    if (connection.isClosed) return gone;
    const fields =
      this.#options.fields === false ? noFields : this.#currentWriter().write(answer, asked);
    if (answer.allowed) return { kind: 'pass', fields };
    const problem = problemOf(answer);
    const seconds = retryAfterS(answer);
    const allFields: Fields =
      seconds === undefined ? fields : [...fields, ['Retry-After', String(seconds)]];
    try {
      const own = await this.#options.refuse?.(answer, request, problem);
      return connection.isClosed ? gone : reply(problem, allFields, own);
    } catch (error) {
      return this.#failed(error, serverError);
    }
  }

  /** That of the limits as they are now; as they were, where they cannot be told. */
  #currentWriter(): FieldWriter {
    const { limits, partitionSecret } = this.#options;
    if (typeof limits !== 'function') return this.#writer;
    try {
      const now = limits();
      if (now !== this.#limits) this.#writer = new FieldWriter(now, partitionSecret);
      this.#limits = now;
    } catch (error) {
      this.#tell(error);
    }
    return this.#writer;
  }

  #asked(request: Request): LimitRequest | Promise<LimitRequest> {
    const { requestOf, addressOf } = this.#options;
    const origin = this.#originOf(request);
    const client = this.#keyOf(
      addressOf === undefined ? origin : { ...origin, address: addressOf(request) },
    );
    return requestOf === undefined ? { actor: client } : requestOf(request, client);
  }

  async #ask(asked: LimitRequest, connection: Connection): Promise<Answer> {
    const { limiter } = this.#options;
    if (this.#waitMs === 0) return await limiter.take(asked);
    const leaving = new AbortController();
    const stay = connection.onClose(() => leaving.abort());
    try {
      return await limiter.wait!(asked, { signal: leaving.signal, timeoutMs: this.#waitMs });
    } finally {
      stay();
    }
  }

  /**
   * A request that is wrong itself must not get in by being so, whatever becomes of others when the limiter fails; nor does any while the
   * store is set up so that it cannot limit, which does not pass by itself as a failure does.
   */
  #limiterFailed(error: unknown): Verdict {
    const code = error instanceof RateLimitError ? error.code : undefined;
    const verdict = this.#failed(error, code === 'bad_request' ? serverError : unavailable);
    const isLetIn =
      this.#options.onFailure === 'allow' && code !== 'bad_request' && code !== 'bad_store';
    return isLetIn ? { kind: 'pass', fields: noFields } : verdict;
  }

  #failed(error: unknown, problem: Problem): Verdict {
    this.#tell(error);
    return reply(problem, noFields);
  }

  /** A store that is away when permits are given back concerns nobody who could be answered. */
  #releaseOf(admission: Admission): () => void {
    return () => {
      new Promise((resolve) => resolve(admission.release())).catch((error) => this.#tell(error));
    };
  }

  #tell(error: unknown): void {
    try {
      (this.#options.onError ?? console.error)(error);
    } catch {
      // Whoever is told of errors must not stop requests from being answered.
    }
  }
}

function reply(problem: Problem, fields: Fields, own?: RefusalBody): Verdict {
  return {
    kind: 'reply',
    status: own?.status ?? problem.status,
    fields: [
      ...fields,
      ['Content-Type', own?.contentType ?? 'application/problem+json'],
      // What is said of one client must not be said to another from a cache.
      ['Cache-Control', 'no-store'],
    ],
    body: own?.body ?? JSON.stringify(problem),
  };
}
