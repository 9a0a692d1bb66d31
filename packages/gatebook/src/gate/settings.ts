import type { GateRules } from '../gate.js';
import type { LimitSpec } from '../limits.js';
import type { RedisPlace } from './redis-connection.js';

/** All that a gate goes by. */
export interface GateSettings {
  readonly limits: readonly LimitSpec[];
  /** Where they are counted; by the process that writes the log by default. Counts at the start only. */
  readonly redis?: RedisPlace | undefined;
  readonly rules: GateRules;
}
