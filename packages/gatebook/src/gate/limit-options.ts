import type { LimitSpec } from '../limits.js';

/** What calls are limited to, and whether one waits for it. */
export interface LimitOptions {
  readonly limits: readonly LimitSpec[];
  /** How long a call waits at most; without it, it is refused at once. */
  readonly waitMs?: number | undefined;
}
