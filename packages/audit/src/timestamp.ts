import { AuditError } from './errors.js';

// Many events share a millisecond; formatting it once is enough.
let lastMs = Number.NaN;
let lastText = '';

/** A time in milliseconds since 1970 as `YYYY-MM-DDTHH:MM:SS.mmmZ`. */
export function formatTime(ms: number): string {
  if (ms !== lastMs) {
    lastText = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastText;
}

const timePattern = /^(\d{4})-(\d\d)-(\d\d)[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** An event's timestamp, now by default, as it is written. Throws `wrong_type`. */
export function encodeTimestamp(value: unknown): string {
  if (value === undefined) return formatTime(Date.now());
  const ms =
    value instanceof Date
      ? Date.prototype.getTime.call(value)
      : typeof value === 'string'
        ? parseTime(value)
        : Number.NaN;
  const text = Number.isFinite(ms) ? new Date(ms).toISOString() : '';
  if (text.length === 24) return text;
  const wanted = 'a Date or an RFC 3339 string of the years 0 to 9999';
  throw new AuditError('wrong_type', `timestamp must be ${wanted}`, { member: 'timestamp' });
}

function parseTime(text: string): number {
  const match = timePattern.exec(text);
  if (!match) return Number.NaN;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // Date.parse takes a 30th of February for a day of March.
  const days = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  return day > days ? Number.NaN : Date.parse(text.toUpperCase());
}

/** The time in one of the log's own records; NaN where it is not written as the log writes it. */
export function ownTime(text: unknown): number {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text))
    return Number.NaN;
  const ms = Date.parse(text);
  return Number.isFinite(ms) && new Date(ms).toISOString() === text ? ms : Number.NaN;
}
