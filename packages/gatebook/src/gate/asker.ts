import type { Decision } from '@gatebook/policy';
import type { GateCall } from './call.js';
import type { Verdict } from './state/approvals.js';

/** A call that a person is asked about. */
export interface Asked {
  readonly id: string;
  readonly call: GateCall;
  readonly decision: Decision;
  /** Ends the question: somebody else has answered, or nobody waits any more. */
  readonly signal: AbortSignal;
}

/**
 * Asks a person where the gate stands: on its terminal, or through its client. Resolves with undefined where nobody can be asked there, or
 * the question ended; `gatebook approve` can answer all the while.
 */
export type Asker = (asked: Asked) => Promise<Verdict | undefined>;

export const nobody: Asker = () => Promise.resolve(undefined);
