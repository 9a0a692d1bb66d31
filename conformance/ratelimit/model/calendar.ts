import type { CalendarPeriod } from '@gatebook/ratelimit';

export interface Period {
  readonly from: number;
  readonly to: number;
}

const hourMs = 3_600_000;
/** Longer than the longest period of each kind. */
const reachMs = {
  minute: 2 * 60_000,
  hour: 3 * hourMs,
  day: 2 * 24 * hourMs,
  week: 9 * 24 * hourMs,
  month: 33 * 24 * hourMs,
};

/**
 * Finds the period that a time lies in by looking at what a wall clock of the zone shows: it begins at the first instant that is shown
 * with the same label as the time, and ends at the first that is not. For zones that do not set their clocks back over midnight.
 */
export function periodFinder({ calendar, zone = 'UTC' }: CalendarPeriod): (time: number) => Period {
  const label = labeller(calendar, zone);
  const reach = reachMs[calendar];
  return (time) => {
    const own = label(time);
    return {
      from: firstOf(time - reach, time, (at) => label(at) === own),
      to: firstOf(time, time + reach, (at) => label(at) !== own),
    };
  };
}

/** What a wall clock shows, as far as it stays the same in a period; and for hours, by how much it is ahead. */
function labeller(calendar: CalendarPeriod['calendar'], zone: string): (at: number) => string {
  const shown = new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone,
    dateStyle: 'short',
    timeStyle: 'short',
  });
  const ahead = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
  return (at) => {
    const text = shown.format(at); // 2026-03-28 23:30
    if (calendar === 'month') return text.slice(0, 7);
    if (calendar === 'day') return text.slice(0, 10);
    if (calendar === 'week') return mondayOf(text.slice(0, 10));
    return `${text.slice(0, calendar === 'hour' ? 13 : 16)} ${ahead.format(at)}`;
  };
}

function mondayOf(date: string): string {
  const day = new Date(`${date}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString();
}

/** The first ms after `below` for which it holds, where it does for `above`, and goes on to hold once it does. */
function firstOf(below: number, above: number, holds: (at: number) => boolean): number {
  let [no, yes] = [below, above];
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (holds(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}
