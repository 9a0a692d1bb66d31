import { RateLimitError } from './errors.js';
import type { CalendarPeriod } from './limit.js';

export interface Period {
  /** Ms since 1970 at which it began and at which the next begins. */
  readonly from: number;
  readonly to: number;
}

type Unit = CalendarPeriod['calendar'];

/**
 * The calendar period that a time lies in, in a zone. Periods follow the wall clock there: a day may have 23 or 25 hours, and an hour
 * that a clock goes through twice is two hours.
 */
export class Calendar {
  readonly #unit: Unit;
  readonly #format: Intl.DateTimeFormat | undefined;

  /** @throws RateLimitError `bad_limit` for a zone that is not known */
  constructor({ calendar, zone = 'UTC' }: CalendarPeriod) {
    this.#unit = calendar;
    if (zone === 'UTC') return;
    try {
      this.#format = new Intl.DateTimeFormat('en-US', {
        timeZone: zone,
        hourCycle: 'h23',
        ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
        ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
      });
    } catch {
      throw new RateLimitError('bad_limit', `there is no time zone ${JSON.stringify(zone)}`);
    }
  }

  at(time: number): Period {
    const offset = this.#offset(time);
    if (this.#unit === 'minute' || this.#unit === 'hour') {
      const ms = this.#unit === 'minute' ? 60_000 : 3_600_000;
      const from = Math.floor((time + offset) / ms) * ms - offset;
      return { from, to: from + ms };
    }
    const local = new Date(time + offset);
    const [year, month, day] = [local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()];
    if (this.#unit === 'month')
      return this.#between(Date.UTC(year, month), Date.UTC(year, month + 1));
    const monday = day - ((local.getUTCDay() + 6) % 7);
    return this.#unit === 'week'
      ? this.#between(Date.UTC(year, month, monday), Date.UTC(year, month, monday + 7))
      : this.#between(Date.UTC(year, month, day), Date.UTC(year, month, day + 1));
  }

  /** From two times as the wall clock shows them. */
  #between(from: number, to: number): Period {
    return { from: this.#instant(from), to: this.#instant(to) };
  }

  /** The first instant at which the wall clock has reached `local`. */
  #instant(local: number): number {
    const guess = local - this.#offset(local - this.#offset(local));
    // Where a clock is set forward over midnight, the day begins with what comes after.
    return guess + this.#offset(guess) < local ? local - this.#offset(guess) : guess;
  }

  /** What the wall clock is ahead of UTC at an instant, in ms. */
  #offset(time: number): number {
    if (this.#format === undefined) return 0;
    const parts = new Map(
      this.#format.formatToParts(time).map(({ type, value }) => [type, Number(value)]),
    );
    const get = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const shown = Date.UTC(
      get('year'),
      get('month') - 1,
      get('day'),
      get('hour'),
      get('minute'),
      get('second'),
    );
    return shown - Math.floor(time / 1_000) * 1_000;
  }
}
