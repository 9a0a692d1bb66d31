import { randomBytes } from 'node:crypto';

/** Only in a text with one of these can there be a number that a double does not hold: many digits, or an exponent. */
const suspicious = /[\d.]{16}|\d[eE]/;

/** What stands for a number while a value is rewritten; nobody outside of this process knows it. */
const mark = randomBytes(16).toString('hex');
const marks = new RegExp(`"${mark}:([^"]*)"`, 'g');

export interface ReadJson {
  /** With the text of a number in its place, as a string, where a double would hold another number. */
  readonly value: unknown;
  /** Whether there is no such number. */
  readonly exact: boolean;
}

/**
 * Reads JSON without rounding.
 *
 * @throws SyntaxError where the text is no JSON
 */
export function readJson(text: string): ReadJson {
  const kept = withoutInexact(text, (number) => `"${number}"`);
  return { value: JSON.parse(kept ?? text), exact: kept === undefined };
}

/**
 * The value of a JSON text with marks for the numbers that a double does not hold; `unmarked` puts them back into what is written of it.
 *
 * @throws SyntaxError where the text is no JSON
 */
export function marked(text: string): unknown {
  return JSON.parse(withoutInexact(text, (number) => `"${mark}:${number}"`) ?? text);
}

export function unmarked(json: string): string {
  return json.replace(marks, (_whole, number: string) => number);
}

/** The text with something else for each number that a double does not hold, or undefined where there is none. */
function withoutInexact(text: string, other: (number: string) => string): string | undefined {
  if (!suspicious.test(text)) return undefined;
  const token = /"|-?\d[\d.eE+-]*/g;
  const parts: string[] = [];
  let from = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [number] = match;
    if (number === '"') {
      token.lastIndex = stringEnd(text, match.index);
    } else if (!isExact(number)) {
      parts.push(text.slice(from, match.index), other(number));
      from = token.lastIndex;
    }
  }
  return from === 0 ? undefined : parts.join('') + text.slice(from);
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** Whether the double that is nearest is the number itself: 1.0 and 1e2 are, 9007199254740993 and 1e999 are not. */
function isExact(text: string): boolean {
  const number = Number(text);
  return Number.isFinite(number) && decimalOf(text) === decimalOf(String(number));
}

/** The same text for 1, 1.0 and 10e-1: the digits that are left without the zeros around them, and the power of ten. */
function decimalOf(text: string): string | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  let end = digits.length;
  // Not by an expression, which would begin anew at each zero.
  while (end > 0 && digits[end - 1] === '0') end--;
  if (end === 0) return '0';
  const power = Number(exponent) - fraction.length + digits.length - end;
  return `${sign}${digits.slice(0, end)}e${power}`;
}
