import type { GateCall } from './call.js';
import type { PinnedDecision } from './pin.js';
import type { Verdict } from './state/approvals.js';

/** A call that a person is asked about. */
export interface Asked {
  readonly id: string;
  readonly call: GateCall;
  readonly decision: PinnedDecision;
  /** Ends the question: somebody else has answered, or nobody waits any more. */
  readonly signal: AbortSignal;
}

/**
 * Asks a person where the gate stands: on its terminal, or through its client. Resolves with undefined where nobody can be asked there, or
 * the question ended; `gatebook approve` can answer all the while. With `later` the question goes out with the answer to this call, and
 * another one brings what the person said; with `nobody` the person would not answer, and nothing is gained by waiting for others.
 */
export type Asker = (asked: Asked) => Promise<Verdict | 'later' | 'nobody' | undefined>;

export const nobody: Asker = () => Promise.resolve(undefined);
