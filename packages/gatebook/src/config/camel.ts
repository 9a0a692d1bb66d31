import { z } from 'zod';

type CamelName<S extends string> = S extends `${infer Head}_${infer Rest}`
  ? `${Head}${Capitalize<CamelName<Rest>>}`
  : S;

/** The same shape under names as code has them; names that the user gives (of a table's entries) stay. */
export type Camel<T> = T extends readonly (infer Item)[]
  ? readonly Camel<Item>[]
  : T extends object
    ? { readonly [K in keyof T as K extends string ? CamelName<K> : K]: Camel<T[K]> }
    : T;

export function camelName(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Gives a checked value the names that code uses. Walks the schema, for only it knows which names are the user's. */
export function camelValue(schema: z.core.$ZodType, value: unknown): unknown {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodObject && isTable(value)) {
    const members = Object.entries(value).map(([name, member]) => [
      camelName(name),
      camelValue(inner.shape[name], member),
    ]);
    return Object.fromEntries(members);
  }
  if (inner instanceof z.ZodRecord && isTable(value)) {
    const entries = Object.entries(value).map(([name, entry]) => [
      name,
      camelValue(inner.valueType, entry),
    ]);
    return Object.fromEntries(entries);
  }
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((item) => camelValue(inner.element, item));
  }
  return value;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What stands inside of defaults and optionals. */
export function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  let at = schema;
  while (
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodOptional ||
    at instanceof z.ZodReadonly
  ) {
    at = at.unwrap();
  }
  return at;
}
