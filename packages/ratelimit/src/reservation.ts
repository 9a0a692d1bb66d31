import { type Decision, heldStride, noRow, notMet, type Refusal, type Taken } from './decision.js';
import type { KeyWords } from './key-words.js';
import type { Meter } from './meter.js';
import type { LimitRequest } from './request.js';

/** What became of a settled reservation. */
export interface Settled {
  /** What went beyond the estimate and beyond the `maxDebt` of a limit, and so is in no budget: the most of any limit. */
  readonly overspent: number;
}

/**
 * An estimate that was taken, until the true cost is known. Nothing has to come: one that is never settled counts as spent at its
 * estimate, so nothing is lost when a process forgets it.
 */
export interface Reservation extends Decision {
  readonly allowed: true;
  /** Corrects what was taken to what it did cost, however late. Never fails, and only the first call counts. */
  settle(actual: number): Settled;
  /** Gives all of it back. Only the first call of this or `settle` counts. */
  release(): void;
}

export type Reserved = Reservation | Refusal;

/** Corrects what was taken for a request, which `key` has read, to what it did cost; the permits are given back. */
export function settle(
  { meters, held }: Taken,
  key: KeyWords,
  request: LimitRequest,
  actual: number,
  now: number,
): Settled {
  let overspent = 0;
  for (const [place, meter] of meters.entries()) {
    const [row, age, estimate, mark] = held.slice(place * heldStride, (place + 1) * heldStride);
    if (row === notMet) continue;
    const more = meter.isReleased
      ? -estimate!
      : costIn(meter, request, actual, estimate!) - estimate!;
    if (more < 0 && row !== noRow) meter.giveBack(row!, age!, -more, mark!, now, held.at(-1)!);
    else if (more > 0) {
      const over = meter.exceed(key, more, meter.maxDebt ?? meter.max, mark!, now);
      overspent = Math.max(overspent, over);
    }
  }
  return { overspent };
}

/** Where nobody can say what it did cost, the estimate stands: settling never fails. */
function costIn(meter: Meter, request: LimitRequest, actual: number, estimate: number): number {
  try {
    return meter.costOf({ ...request, cost: actual });
  } catch {
    return estimate;
  }
}
