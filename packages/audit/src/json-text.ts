import { AuditError } from './errors.js';

/** Content larger than this is refused, not cut: it would have to be hashed whole. */
export const contentBytesMax = 64 * 1024 * 1024;

/** Deeper nesting is refused, well below what readers' stacks bear. */
export const valueDepthMax = 256;

/** Refuses text that has no UTF-8 form. */
export function checkText(text: string, member: string): void {
  if (text.isWellFormed()) return;
  throw new AuditError(
    'lone_surrogate',
    `${member} holds a lone surrogate, which has no UTF-8 form; replace it (String.prototype.toWellFormed) or escape it`,
    { member },
  );
}

/** Refuses a number that another parser would read as another number. */
export function checkNumber(value: number, member: string): void {
  if (!Number.isFinite(value)) {
    throw new AuditError('not_finite', `${member} is ${value}, which JSON cannot hold`, { member });
  }
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new AuditError(
      'unsafe_integer',
      `${member} is an integer beyond 2^53-1, which JSON readers round; pass it as a string`,
      { member },
    );
  }
}

/**
 * A JSON value as compact JSON text. Plain objects, arrays, strings, finite numbers, booleans, null and valid Dates (as
 * ISO strings) are taken; members that are undefined are left out, as `JSON.stringify` does. Everything that would
 * lose something on the way (cycles, BigInt, unsafe integers, lone surrogates, `__proto__`, Map, functions) is refused
 * with the path of the member, and so is a text of more than `charsMax` UTF-16 units. Every member is read once, and
 * no `toJSON` is asked, so what was checked is what is written.
 */
export function encodeJson(value: unknown, member: string, charsMax = contentBytesMax): string {
  return new Encoder(member, charsMax).encode(value, member);
}

class Encoder {
  readonly #member: string;
  readonly #charsMax: number;
  readonly #ancestors: object[] = [];
  #chars = 0;

  constructor(member: string, charsMax: number) {
    this.#member = member;
    this.#charsMax = charsMax;
  }

  encode(value: unknown, member: string): string {
    switch (typeof value) {
      case 'string':
        return this.#count(quote(value, member));
      case 'number':
        checkNumber(value, member);
        return this.#count(Object.is(value, -0) ? '0' : String(value));
      case 'boolean':
        return this.#count(value ? 'true' : 'false');
      case 'object':
        return value === null ? this.#count('null') : this.#object(value, member);
      case 'bigint':
        throw new AuditError('bigint', `${member} is a BigInt; pass it as a string`, { member });
      default:
        throw new AuditError(
          'not_json',
          `${member} is ${describe(value)}, which JSON cannot hold`,
          { member },
        );
    }
  }

  /** An object that repeats itself can stand for more text than there is memory. */
  #count(text: string): string {
    this.#chars += text.length + 1;
    if (this.#chars > this.#charsMax) {
      throw new AuditError(
        'too_large',
        `${this.#member} is larger than a record can hold; pass less`,
        {
          member: this.#member,
        },
      );
    }
    return text;
  }

  #object(value: object, member: string): string {
    const ancestors = this.#ancestors;
    if (ancestors.includes(value)) {
      throw new AuditError('cycle', `${member} leads back to an object that contains it`, {
        member,
      });
    }
    if (ancestors.length >= valueDepthMax) {
      throw new AuditError('too_deep', `${member} is nested deeper than ${valueDepthMax}`, {
        member,
      });
    }
    const ms = value instanceof Date ? Date.prototype.getTime.call(value) : Number.NaN;
    if (Number.isFinite(ms)) return this.#count(`"${new Date(ms).toISOString()}"`);
    ancestors.push(value);
    const text = Array.isArray(value) ? this.#array(value, member) : this.#members(value, member);
    ancestors.pop();
    return text;
  }

  #array(items: readonly unknown[], member: string): string {
    let text = '[';
    // An index loop also sees the holes of a sparse array, which forEach passes over.
    for (let i = 0; i < items.length; i++) {
      if (i > 0) text += ',';
      text += this.encode(items[i], `${member}[${i}]`);
    }
    return `${text}]`;
  }

  #members(value: object, member: string): string {
    if (!isPlainObject(value)) {
      throw new AuditError(
        'not_json',
        `${member} is ${describe(value)}; pass plain objects, arrays, strings, numbers, booleans or null`,
        { member },
      );
    }
    let text = '{';
    for (const name of Object.keys(value)) {
      const item = value[name];
      if (item === undefined) continue;
      const path = `${member}.${name}`;
      if (name === '__proto__') {
        throw new AuditError(
          'prototype_key',
          `${path}: a member called __proto__ changes the prototype of the object a careless reader builds; rename it`,
          { member: path },
        );
      }
      if (text.length > 1) text += ',';
      text += `${this.#count(quote(name, path))}:${this.encode(item, path)}`;
    }
    return `${text}}`;
  }
}

// Everything that cannot stand in a JSON string as it is, and every surrogate, paired or not.
const special = /["\\\u0000-\u001f\ud800-\udfff]/;

/** A string as JSON. Refuses what has no UTF-8 form. */
export function quote(text: string, member: string): string {
  if (!special.test(text)) return `"${text}"`;
  checkText(text, member);
  return JSON.stringify(text);
}

/** Whether an object is a plain one, also when it comes from another realm. */
export function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `a value of type ${typeof value}`;
  const name: unknown = value.constructor?.name;
  return `an object of class ${typeof name === 'string' && name !== '' ? name : 'unknown'}`;
}

/**
 * The longest beginning of `text`, cut at a character, whose JSON string form without quotes is at most `bytesMax`
 * bytes of UTF-8.
 */
export function cutEncoded(text: string, bytesMax: number): string {
  let bytes = 0;
  let i = 0;
  while (i < text.length) {
    const code = text.codePointAt(i)!;
    bytes += encodedLength(code);
    if (bytes > bytesMax) break;
    i += code > 0xffff ? 2 : 1;
  }
  return text.slice(0, i);
}

function encodedLength(code: number): number {
  if (code === 0x22 || code === 0x5c) return 2;
  if (code < 0x20)
    return code === 8 || code === 9 || code === 10 || code === 12 || code === 13 ? 2 : 6;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}
