import type { Members } from './records.js';

/** Steps from a record to one of its values. */
export type Path = readonly (string | number)[];

/** Every member and array element of a record, at any depth. */
export function pathsOf(value: unknown, prefix: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  const steps = Array.isArray(value) ? value.map((_, i) => i) : Object.keys(value);
  return steps.flatMap((step) => {
    const path = [...prefix, step];
    return [path, ...pathsOf((value as Record<string | number, unknown>)[step], path)];
  });
}

/** What is done to one member. */
export type Edit =
  | 'changed'
  | 'retyped'
  | 'emptied'
  | 'removed'
  | 'renamed'
  | 'doubled'
  | 'doubled by an escape';

export const edits: readonly Edit[] = [
  'changed',
  'retyped',
  'emptied',
  'removed',
  'renamed',
  'doubled',
  'doubled by an escape',
];

/** Whether an edit has a meaning for the value at the path and makes another line. */
export function applies(edit: Edit, path: Path, value: unknown): boolean {
  const inArray = typeof path.at(-1) === 'number';
  if (inArray && edit !== 'changed' && edit !== 'removed' && edit !== 'retyped') return false;
  if (edit === 'changed') return typeof value !== 'object' || value === null;
  if (edit === 'emptied') return JSON.stringify(emptied(value)) !== JSON.stringify(value);
  return true;
}

/** The record as JSON with one member edited. */
export function editLine(record: Members, path: Path, edit: Edit): string {
  return write(record, path, edit);
}

function write(value: unknown, path: Path, edit: Edit): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const [step, ...rest] = path;
  const entries = Object.entries(value).flatMap(([name, item]): [string, string][] => {
    const key = JSON.stringify(name);
    if (String(step) !== name || step === undefined) return [[key, JSON.stringify(item)]];
    if (rest.length > 0) return [[key, write(item, rest, edit)]];
    return editMember(name, item, edit);
  });
  if (Array.isArray(value)) return `[${entries.map(([, item]) => item).join(',')}]`;
  return `{${entries.map(([key, item]) => `${key}:${item}`).join(',')}}`;
}

function editMember(name: string, item: unknown, edit: Edit): [string, string][] {
  const key = JSON.stringify(name);
  const text = JSON.stringify(item);
  switch (edit) {
    case 'changed':
      return [[key, JSON.stringify(changed(item))]];
    case 'retyped':
      return [[key, typeof item === 'number' ? JSON.stringify(text) : '7']];
    case 'emptied':
      return [[key, JSON.stringify(emptied(item))]];
    case 'removed':
      return [];
    case 'renamed':
      return [[JSON.stringify(`${name}_`), text]];
    case 'doubled':
      return [
        [key, text],
        [key, text],
      ];
    case 'doubled by an escape':
      return [
        [escaped(name), JSON.stringify(typeof item === 'object' ? {} : changed(item))],
        [key, text],
      ];
  }
}

/** Another value of the same type and, for strings, of the same length and alphabet where that is hex. */
function changed(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`;
  return false;
}

function emptied(value: unknown): unknown {
  if (typeof value === 'string') return '';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? [] : {};
  return null;
}

/** The same name to a JSON parser, in other bytes. */
function escaped(name: string): string {
  const first = name.charCodeAt(0).toString(16).padStart(4, '0');
  return `"\\u${first}${name.slice(1)}"`;
}
