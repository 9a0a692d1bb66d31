import { type Clock, type Grant, systemClock } from '@gatebook/ratelimit';
import { GateError } from '../errors.js';

/** A call that nobody speaks of for so long counts as ended; gates speak of theirs three times as often. */
export const permitMs = 30_000;
/** Of all gates together. */
const callsMax = 8_192;

/** What tells a call that counts as under way, so that another holder can go on counting it. */
export interface CallUnderWay {
  readonly grant: string;
  /** The limits of what is in flight that it met, as digests. */
  readonly own: readonly string[];
  readonly request: object;
}

type Permits = Pick<Grant, 'release'>;

interface Counted {
  permits: readonly Permits[];
  call: CallUnderWay;
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

  /** A call is still under way. `count`: takes its permits of those of the limits in which it is not counted yet. */
  hold(call: CallUnderWay, count: (own: readonly string[]) => Permits): void {
    if (call.own.length === 0) return;
    const untilMs = this.#clock.now() + permitMs;
    this.#lapseMs = Math.min(this.#lapseMs, untilMs);
    const known = this.#calls.get(call.grant);
    if (known !== undefined) {
      known.untilMs = untilMs;
      const more = call.own.filter((id) => !known.call.own.includes(id));
      if (more.length === 0) return;
      known.call = { ...call, own: [...known.call.own, ...more] };
      known.permits = [...known.permits, count(more)];
      return;
    }
    this.lapse();
    if (!this.hasRoom) {
      throw new GateError('too_many_limits', `more than ${callsMax} calls are under way`);
    }
    this.#calls.set(call.grant, { permits: [count(call.own)], call, untilMs });
  }

  get hasRoom(): boolean {
    return this.#calls.size < callsMax;
  }

  end(grant: string): void {
    for (const permits of this.#calls.get(grant)?.permits ?? []) permits.release();
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
