import { AuditError } from './errors.js';

/** Deeper nesting is refused, well below what readers' stacks bear. */
export const valueDepthMax = 256;

// Everything that cannot stand in a JSON string as it is, and every surrogate, paired or not.
const special = /["\\\u0000-\u001f\ud800-\udfff]/;

/** A string as JSON text; refuses lone surrogates, which have no UTF-8 form. */
export function quote(text: string, member: string): string {
  if (!special.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) {
    throw new AuditError(
      'lone_surrogate',
      `${member} holds a lone surrogate, which has no UTF-8 form; replace it (String.prototype.toWellFormed) or escape it`,
      { member },
    );
  }
  return JSON.stringify(text);
}

/** A number as JSON text; refuses what another parser would read as another number. */
export function encodeNumber(value: number, member: string): string {
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
  return String(Object.is(value, -0) ? 0 : value);
}

/**
 * A JSON value as compact JSON text. Plain objects, arrays, strings, finite numbers, booleans, null and valid Dates (as
 * ISO strings) are taken; members that are undefined are left out, as `JSON.stringify` does. Everything that would
 * lose something on the way (cycles, BigInt, unsafe integers, lone surrogates, `__proto__`, Map, functions) is refused
 * with the path of the member.
 */
export function encodeJson(value: unknown, member: string): string {
  return encodeValue(value, member, []);
}

function encodeValue(value: unknown, member: string, ancestors: object[]): string {
  switch (typeof value) {
    case 'string':
      return quote(value, member);
    case 'number':
      return encodeNumber(value, member);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      return value === null ? 'null' : encodeObject(value, member, ancestors);
    case 'bigint':
      throw new AuditError('bigint', `${member} is a BigInt; pass it as a string`, { member });
    default:
      throw new AuditError('not_json', `${member} is ${describe(value)}, which JSON cannot hold`, {
        member,
      });
  }
}

function encodeObject(value: object, member: string, ancestors: object[]): string {
  if (ancestors.includes(value)) {
    throw new AuditError('cycle', `${member} leads back to an object that contains it`, { member });
  }
  if (ancestors.length >= valueDepthMax) {
    throw new AuditError('too_deep', `${member} is nested deeper than ${valueDepthMax}`, {
      member,
    });
  }
  if (value instanceof Date && Number.isFinite(value.getTime())) return `"${value.toISOString()}"`;
  ancestors.push(value);
  const text = Array.isArray(value)
    ? encodeArray(value, member, ancestors)
    : encodeMembers(value, member, ancestors);
  ancestors.pop();
  return text;
}

function encodeArray(items: readonly unknown[], member: string, ancestors: object[]): string {
  let text = '[';
  for (let i = 0; i < items.length; i++) {
    if (i > 0) text += ',';
    text += encodeValue(items[i], `${member}[${i}]`, ancestors);
  }
  return `${text}]`;
}

function encodeMembers(value: object, member: string, ancestors: object[]): string {
  if (!isPlainObject(value)) {
    throw new AuditError(
      'not_json',
      `${member} is ${describe(value)}; pass plain objects, arrays, strings, numbers, booleans or null`,
      { member },
    );
  }
  let text = '{';
  for (const [name, item] of Object.entries(value)) {
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
    text += `${quote(name, path)}:${encodeValue(item, path, ancestors)}`;
  }
  return `${text}}`;
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
