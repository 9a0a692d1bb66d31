/** What a limit has decided since the start. */
export interface LimitCounters {
  readonly limit: string;
  /** Requests that met it and were let in by all limits. */
  readonly allowed: number;
  /** Requests that it was named for refusing. */
  readonly refused: number;
  /** Requests that it would have refused, were it not in the shadow. */
  readonly shadowRefused: number;
  /** Keys it remembers. */
  readonly keys: number;
}
