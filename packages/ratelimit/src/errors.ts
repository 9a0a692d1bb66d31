/** Every reason a limiter can give for not doing what was asked. A refused request is none: it is a decision. */
export type RateLimitErrorCode =
  | 'bad_limit' // a limit is defined in a way that cannot work
  | 'bad_request' // a request is of the wrong shape, or its cost is no number of 0 or more
  | 'duplicate_limit' // two limits have one name
  | 'unknown_limit' // no limit has the name asked for
  | 'idempotency_conflict' // an idempotency key was used before, with another request
  | 'bad_option' // a middleware or the fetch wrapper is set up in a way that cannot work
  | 'not_sent' // the fetch wrapper did not send a request, since it would have had to wait too long
  | 'bad_store' // the store may lose what is counted by the way it is set up, so nothing is decided by it
  | 'bad_snapshot' // what is to be restored is no snapshot of this limiter
  | 'closed';

/** The one error class of this package: `code` is for programs, `message` says what was wrong, where, and what to do. */
export class RateLimitError extends Error {
  readonly code: RateLimitErrorCode;

  constructor(code: RateLimitErrorCode, message: string) {
    super(message);
    this.name = 'RateLimitError';
    this.code = code;
  }
}
