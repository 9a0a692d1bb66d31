import { InvalidArgumentError } from 'commander';
import { msOfSpan } from '../span.js';
import { type DayEnd, instantForms, parseInstant } from './instant.js';

/** Parsers for option values. What they refuse becomes a usage error that says what is accepted. */

const digits = /^(0|[1-9]\d*)$/;

function integer(text: string, min: number): number {
  const value = Number(text);
  if (!digits.test(text) || !Number.isSafeInteger(value) || value < min) {
    throw new InvalidArgumentError(`Accepted: a whole number from ${min}.`);
  }
  return value;
}

export function positiveInteger(text: string): number {
  return integer(text, 1);
}

export function nonNegativeInteger(text: string): number {
  return integer(text, 0);
}

/** Mebibytes, fractions allowed, as bytes: the size at which a segment is sealed. */
export function segmentBytes(text: string): number {
  const bytes = Math.round(Number(text) * 1024 * 1024);
  if (!/^\d{1,7}(\.\d{1,6})?$/.test(text) || bytes < 4_096 || bytes > 2 ** 40) {
    throw new InvalidArgumentError('Accepted: a number of mebibytes from 0.004 to 1048576.');
  }
  return bytes;
}

/** A span of time as milliseconds. */
export function spanMs(text: string): number {
  const ms = msOfSpan(text);
  if (!Number.isSafeInteger(ms) || ms < 1) {
    throw new InvalidArgumentError('Accepted: a span like 500ms, 30s, 10m, 2h or 1d.');
  }
  return ms;
}

/** `HOST:PORT`; an IPv6 address stands in brackets. */
export function hostAndPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(0|[1-9]\d{0,4})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new InvalidArgumentError('Accepted: HOST:PORT.');
  return { host: match[1] ?? match[2]!, port };
}

/** A span of time in days: `30d`, `12h`. */
export function spanDays(text: string): number {
  const [, number, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  if (number === undefined || unit === undefined) {
    throw new InvalidArgumentError('Accepted: a whole number with s, m, h, d or w.');
  }
  return (Number(number) * msOfSpan(`1${unit}`)) / 86_400_000;
}

/** For an option that may stand more than once. */
export function collect(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), nonEmpty(text)];
}

/** An empty value is nearly always an unset shell variable. */
export function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  if (text === '--') throw new InvalidArgumentError('Its value is missing.');
  return text;
}

function instant(text: string, dayEnd: DayEnd): number {
  const ms = parseInstant(text, Date.now(), dayEnd);
  if (ms === undefined) throw new InvalidArgumentError(`Accepted: ${instantForms}.`);
  return ms;
}

export function since(text: string): number {
  return instant(text, 'first');
}

export function until(text: string): number {
  return instant(text, 'last');
}

const eventIdPattern = /^evt_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function eventId(text: string): string {
  if (!eventIdPattern.test(text))
    throw new InvalidArgumentError('Accepted: evt_ and a lower-case UUID.');
  return text;
}
