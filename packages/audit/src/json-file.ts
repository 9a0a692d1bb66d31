import { readIfThere } from './durable.js';
import { AuditError } from './errors.js';
import type { JsonObject } from './event.js';

/** The object in a small file that only we write; undefined without the file. Throws `log_damaged` where it holds something else. */
export function readJsonFile(file: string): JsonObject | undefined {
  const text = readIfThere(file);
  if (text === undefined) return undefined;
  const damaged = (cause?: unknown): AuditError =>
    new AuditError(
      'log_damaged',
      `${file} is not what was written to it; restore its folder from a backup`,
      { cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged();
  return value as JsonObject;
}
