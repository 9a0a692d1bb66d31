/** What `--since` and `--until` take, for error messages and help. */
export const instantForms =
  'a span back from now (30s, 15m, 24h, 7d, 2w), YYYY-MM-DD (UTC), or RFC 3339';

const spanPattern = /^(\d{1,9})([smhdw])$/;
const unitMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const dayPattern = /^(\d{4})-(\d\d)-(\d\d)$/;
const timePattern =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Which end of a day `YYYY-MM-DD` stands for: its first millisecond or its last. */
export type DayEnd = 'first' | 'last';

/**
 * Milliseconds since 1970 that `text` names, counted from `nowMs` for spans; undefined when it names none (also for
 * days that do not exist). Fractions below a millisecond are dropped.
 */
export function parseInstant(text: string, nowMs: number, dayEnd: DayEnd): number | undefined {
  const span = spanPattern.exec(text);
  if (span) {
    const ms = nowMs - Number(span[1]) * (unitMs[span[2] ?? ''] ?? Number.NaN);
    return inYears(ms);
  }
  const day = dayPattern.exec(text);
  if (day) {
    const start = dayStart(day[1], day[2], day[3]);
    return start === undefined ? undefined : start + (dayEnd === 'last' ? 86_399_999 : 0);
  }
  const time = timePattern.exec(text);
  return time ? parseTime(time) : undefined;
}

function parseTime(parts: RegExpExecArray): number | undefined {
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] =
    parts;
  const start = dayStart(year, month, day);
  if (start === undefined) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const offset = { hour: Number(offsetHour ?? 0), minute: Number(offsetMinute ?? 0) };
  if (offset.hour > 23 || offset.minute > 59) return undefined;
  const ms = Number((fraction ?? '').padEnd(3, '0').slice(0, 3));
  const local =
    start + Number(hour) * 3_600_000 + Number(minute) * 60_000 + Number(second) * 1000 + ms;
  const offsetMs = (offset.hour * 60 + offset.minute) * 60_000;
  return inYears(sign === '-' ? local + offsetMs : local - offsetMs);
}

function dayStart(
  year: string | undefined,
  month: string | undefined,
  day: string | undefined,
): number | undefined {
  const text = `${year}-${month}-${day}`;
  const ms = Date.parse(`${text}T00:00:00Z`);
  // Date.parse may roll 30 February over into March; the round trip shows it.
  if (!Number.isFinite(ms) || new Date(ms).toISOString().slice(0, 10) !== text) return undefined;
  return ms;
}

const yearZeroMs = Date.parse('0000-01-01T00:00:00.000Z');
const yearsEndMs = Date.parse('9999-12-31T23:59:59.999Z');

/** The log's timestamps have four-digit years; nothing outside them can be compared as text. */
function inYears(ms: number): number | undefined {
  return ms >= yearZeroMs && ms <= yearsEndMs ? ms : undefined;
}
