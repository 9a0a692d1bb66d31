/** What a limiter hears instead of an answer of its store. One that may evict is no failure but an error, `bad_store`. */
export class StoreFailure extends Error {
  /** Whether the store may have done what it was asked, or may still. */
  readonly isUnknown: boolean;
  /** Ms after which it is worth asking again. */
  readonly retryAfterMs: number;

  constructor(message: string, isUnknown: boolean, retryAfterMs: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreFailure';
    this.isUnknown = isUnknown;
    this.retryAfterMs = retryAfterMs;
  }
}
