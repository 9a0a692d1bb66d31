/** What of a call's arguments is looked at; beyond any of these nobody is asked to judge by the rest. */
export const argumentLimits = {
  /** Values inside one another. */
  depth: 32,
  /** Values that are no objects or arrays. */
  pairs: 256,
  /** UTF-16 units of all keys and values together. */
  length: 512 * 1024,
} as const;

export interface Flattened {
  /** By JSON pointer (`/files/0/path`); numbers, booleans and null as JSON writes them. */
  pairs: Map<string, string>;
  /** False when the arguments are larger than {@link argumentLimits}, or no JSON. */
  complete: boolean;
}

/** Arguments as pairs of path and text, since policies know no fractions and no null. */
export function flatten(value: unknown): Flattened {
  const result: Flattened = { pairs: new Map(), complete: true };
  add(result, value, '', 0, { left: argumentLimits.length });
  return result;
}

function add(
  result: Flattened,
  value: unknown,
  path: string,
  depth: number,
  room: { left: number },
): void {
  if (!result.complete) return;
  if (depth > argumentLimits.depth) {
    result.complete = false;
  } else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) put(result, path, Array.isArray(value) ? '[]' : '{}', room);
    for (const [key, inner] of entries) {
      if (!result.complete) return;
      add(result, inner, `${path}/${escaped(key)}`, depth + 1, room);
    }
  } else if (typeof value === 'string') {
    put(result, path, value.toWellFormed(), room);
  } else if (value === null || typeof value === 'number' || typeof value === 'boolean') {
    put(result, path, String(value), room);
  } else if (value !== undefined) {
    result.complete = false;
  }
}

function put(result: Flattened, path: string, text: string, room: { left: number }): void {
  room.left -= path.length + text.length;
  if (room.left < 0 || result.pairs.size >= argumentLimits.pairs) result.complete = false;
  else result.pairs.set(path === '' ? '/' : path, text);
}

function escaped(key: string): string {
  return key.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1');
}
