export const levels = ['ok', 'warn', 'fail'] as const;
export type Level = (typeof levels)[number];

/** One thing that was looked at. No secret is ever in it. */
export interface Check {
  /** Stays the same from version to version: `keys.files`. */
  readonly id: string;
  readonly level: Level;
  readonly what: string;
  readonly todo?: string;
}

export function ok(id: string, what: string): Check {
  return { id, level: 'ok', what };
}

export function warn(id: string, what: string, todo?: string): Check {
  return { id, level: 'warn', what, ...(todo === undefined ? {} : { todo }) };
}

export function fail(id: string, what: string, todo?: string): Check {
  return { id, level: 'fail', what, ...(todo === undefined ? {} : { todo }) };
}
