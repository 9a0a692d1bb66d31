import type { GateRules } from '../gate.js';
import type { LimitSpec } from '../limits.js';

/** All that a gate goes by. */
export interface GateSettings {
  readonly limits: readonly LimitSpec[];
  readonly rules: GateRules;
}
