import { type Clock, type Grant, systemClock } from '@gatebook/ratelimit';
import { GateError } from '../errors.js';

/** A call that nobody speaks of for so long counts as ended; gates speak of theirs three times as often. */
export const permitMs = 30_000;
/** Of all gates together. */
const callsMax = 65_536;

/** What tells a call that counts as under way, so that another holder can go on counting it. */
export interface CallUnderWay {
  readonly grant: string;
  /** The limits of what is in flight that it met, as digests. */
  readonly own: readonly string[];
  readonly request: object;
}

interface Counted {
  readonly permits: Pick<Grant, 'release'>;
  readonly call: CallUnderWay;
  untilMs: number;
}

/** Calls that an earlier holder let through and that are still under way, as far as the gates that make them say so. */
export class CallsUnderWay {
  readonly #clock: Clock;
  readonly #calls = new Map<string, Counted>();
  /** Before that none lapses. */
  #lapseMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** A call is still under way. `count`: takes its permits, where it is not known yet. */
  hold(call: CallUnderWay, count: () => Pick<Grant, 'release'>): void {
    const untilMs = this.#clock.now() + permitMs;
    this.#lapseMs = Math.min(this.#lapseMs, untilMs);
    const known = this.#calls.get(call.grant);
    if (known !== undefined) {
      known.untilMs = untilMs;
      return;
    }
    this.lapse();
    if (this.#calls.size >= callsMax) {
      throw new GateError('too_many_limits', `more than ${callsMax} calls are under way`);
    }
    this.#calls.set(call.grant, { permits: count(), call, untilMs });
  }

  end(grant: string): void {
    this.#calls.get(grant)?.permits.release();
    this.#calls.delete(grant);
  }

  /** Those of which nobody has spoken for too long have ended. */
  lapse(): void {
    const now = this.#clock.now();
    if (now < this.#lapseMs) return;
    this.#lapseMs = Number.POSITIVE_INFINITY;
    for (const [grant, { untilMs }] of this.#calls) {
      if (untilMs <= now) this.end(grant);
      else this.#lapseMs = Math.min(this.#lapseMs, untilMs);
    }
  }

  list(): CallUnderWay[] {
    this.lapse();
    return [...this.#calls.values()].map(({ call }) => call);
  }
}
