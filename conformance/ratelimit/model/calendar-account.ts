import type { CalendarPeriod } from '@gatebook/ratelimit';
import type { Account, Instant, Span } from './account.js';
import { exactly } from './account.js';
import { type Period, periodFinder } from './calendar.js';
import { Fraction, sum } from './fraction.js';

/** The periods of one limit. Once a later one was seen, a clock that is set back brings no earlier one back. */
export class Periods {
  readonly #calendar: CalendarPeriod;
  readonly #find: (time: number) => Period;
  #seen: Period | undefined;

  constructor(calendar: CalendarPeriod) {
    this.#calendar = calendar;
    this.#find = periodFinder(calendar);
  }

  copy(): Periods {
    const other = new Periods(this.#calendar);
    other.#seen = this.#seen;
    return other;
  }

  now({ wall }: Instant): Period {
    if (this.#seen === undefined || wall >= this.#seen.to) this.#seen = this.#find(wall);
    return this.#seen;
  }
}

interface Use {
  readonly taker: number;
  readonly from: number;
  amount: Fraction;
}

/** What was used of one key in each calendar period, by whom. */
export class CalendarAccount implements Account {
  most: Fraction;
  readonly #periods: Periods;
  readonly #takenIn = new Map<number, number>();
  #uses: Use[] = [];

  constructor(most: Fraction, periods: Periods) {
    this.most = most;
    this.#periods = periods;
  }

  used(at: Instant): Fraction {
    const { from } = this.#periods.now(at);
    return sum(this.#uses.filter((use) => use.from === from).map(({ amount }) => amount));
  }

  waitMs(cost: Fraction, at: Instant): number {
    return this.used(at).plus(cost).isAbove(this.most) ? this.#periods.now(at).to - at.wall : 0;
  }

  resetMs(at: Instant): Span {
    const isUsed = this.used(at).isAbove(Fraction.zero);
    return exactly(isUsed ? this.#periods.now(at).to - at.wall : 0);
  }

  take(taker: number, amount: Fraction, at: Instant): void {
    const { from } = this.#periods.now(at);
    this.#takenIn.set(taker, from);
    this.#uses.push({ taker, from, amount });
  }

  giveBack(taker: number, amount: Fraction): void {
    const use = this.#uses.find((one) => one.taker === taker);
    if (use !== undefined) use.amount = use.amount.minus(amount.min(use.amount));
  }

  /** What costs more than was thought does so in the period that it was taken in, which may be over. */
  exceed(taker: number, amount: Fraction, debtMost: Fraction, at: Instant): Fraction {
    const { from } = this.#periods.now(at);
    if (this.#takenIn.get(taker) !== from) return Fraction.zero;
    const room = this.most.plus(debtMost).minus(this.used(at)).max(Fraction.zero);
    const taken = amount.min(room);
    this.#uses.push({ taker, from, amount: taken });
    return amount.minus(taken);
  }

  reset(): void {
    this.#uses = [];
  }

  /** What an earlier limiter had counted up to `then`, of which nothing can be given back. */
  restore(used: Fraction, then: Instant, at: Instant): void {
    const { from } = this.#periods.now(at);
    if (then.wall >= from || then.wall > at.wall)
      this.#uses.push({ taker: -1, from, amount: used });
  }

  copy(): CalendarAccount {
    const other = new CalendarAccount(this.most, this.#periods.copy());
    other.#uses = this.#uses.map((use) => ({ ...use }));
    return other;
  }
}
