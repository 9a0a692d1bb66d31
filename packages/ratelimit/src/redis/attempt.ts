import type { Granted } from './granted.js';
import type { RedisTaken } from './grants.js';
import type { Judged, Reply } from './reply.js';

/** What came of one call. */
export type Attempt =
  | { readonly grant: Granted }
  /** Tokens were taken that have yet to come in. */
  | {
      readonly grant: Granted;
      readonly booked: Reply;
      readonly judged: Judged;
      readonly gapsMade: number;
    }
  | { readonly judged: Judged }
  | { readonly failed: RedisTaken };

export type Booked = Extract<Attempt, { booked: unknown }>;
