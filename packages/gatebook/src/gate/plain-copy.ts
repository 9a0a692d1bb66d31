/** Deeper than this nothing is looked at; what contains itself is deeper. */
const depthMost = 200;

/** Something in a value that JSON does not say as it is. */
export class NotPlain extends Error {
  constructor(path: string, what: string) {
    super(`${path} is ${what}`);
    this.name = 'NotPlain';
  }
}

/**
 * A copy of what JSON says completely: what is judged, asked about, digested and recorded is then all that there is, and stays so. Dates are
 * kept, members that are undefined are left out of the JSON as usual.
 *
 * @param name what the value is called in an error
 * @throws NotPlain for what JSON leaves out or says otherwise: NaN, Infinity, bigint, functions, symbols, undefined in an array, Map, Set
 *   and all other objects with a class, and for what is nested deeper than 200 levels
 */
export function plainCopy(value: unknown, name: string): unknown {
  return copyOf(value, name, 0);
}

function copyOf(value: unknown, path: string, depth: number): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new NotPlain(path, String(value));
  if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function')
    throw new NotPlain(path, `a ${typeof value}`);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === depthMost) throw new NotPlain(path, `nested deeper than ${depthMost} levels`);
  if (Array.isArray(value)) return arrayOf(value, path, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Date.prototype) return dateOf(value as Date, path);
  if (prototype !== null && !isPlain(prototype)) throw new NotPlain(path, nameOf(prototype));
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function')
    throw new NotPlain(path, 'an object with a toJSON of its own');
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, copyOf(inner, `${path}.${key}`, depth + 1)]),
  );
}

/** By index, so that a hole is seen too. */
function arrayOf(array: readonly unknown[], path: string, depth: number): unknown[] {
  return Array.from(array, (inner, at) => {
    if (inner === undefined) throw new NotPlain(`${path}[${at}]`, 'undefined');
    return copyOf(inner, `${path}[${at}]`, depth + 1);
  });
}

/** A `toJSON` that somebody gave it would say something else. */
function dateOf(date: Date, path: string): Date {
  const ms = Date.prototype.getTime.call(date);
  if (Number.isNaN(ms)) throw new NotPlain(path, 'an invalid date');
  return new Date(ms);
}

/** Of this realm or another: an object's prototype that has none itself. */
function isPlain(prototype: unknown): boolean {
  return (
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype as object, 'hasOwnProperty')
  );
}

function nameOf(prototype: unknown): string {
  const made = (prototype as { readonly constructor?: { readonly name?: unknown } }).constructor;
  const name = made?.name;
  return typeof name === 'string' && name !== ''
    ? `an object of the class ${name}`
    : 'an object with a prototype of its own';
}
