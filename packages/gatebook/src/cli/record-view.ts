import type { LogRecord } from '@gatebook/audit';

/**
 * A record flattened for people and spreadsheets. A record read from a file was not verified, so nothing is taken for
 * granted here: a member of an unexpected type shows as JSON text instead of failing.
 */
export interface RecordView {
  readonly seq: number;
  readonly timestamp: string;
  readonly eventType: string;
  /** A value by its path in the record: `actor.user_id`. */
  text(path: string): string | undefined;
  /** The same without loss: a commitment, like everything that is no string, is JSON text. */
  data(path: string): string | undefined;
  /** An object's members as `name=value name=value`. */
  pairs(path: string): string | undefined;
  flag(path: string): boolean | undefined;
  number(path: string): number | undefined;
  /** A string, or undefined for anything else: a commitment's content is not here. */
  exact(path: string): string | undefined;
}

export function viewOf(record: LogRecord): RecordView {
  const at = (path: string): unknown => valueAt(record, path);
  return {
    seq: record.seq,
    timestamp: textOf(record.timestamp) ?? '',
    eventType: textOf(record.event_type) ?? '',
    text: (path) => textOf(at(path)),
    data: (path) => {
      const value = at(path);
      return typeof value === 'string' ? value : JSON.stringify(value);
    },
    pairs: (path) => pairsOf(at(path)),
    flag: (path) => {
      const value = at(path);
      return typeof value === 'boolean' ? value : undefined;
    },
    number: (path) => {
      const value = at(path);
      return typeof value === 'number' ? value : undefined;
    },
    exact: (path) => {
      const value = at(path);
      return typeof value === 'string' ? value : undefined;
    },
  };
}

/** The paths are constants of this program, so there are only some dozens of them to keep. */
const splitPaths = new Map<string, readonly string[]>();

function namesOf(path: string): readonly string[] {
  const known = splitPaths.get(path);
  if (known !== undefined) return known;
  const names = path.split('.');
  splitPaths.set(path, names);
  return names;
}

function valueAt(record: object, path: string): unknown {
  let value: unknown = record;
  for (const name of namesOf(path)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name))
      return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

/** Text as it is; a commitment as its preview and size; anything else as JSON. */
function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') return value;
  return commitmentText(value) ?? JSON.stringify(value);
}

function pairsOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return textOf(value);
  return Object.entries(value)
    .map(([name, item]) => `${name}=${textOf(item)}`)
    .join(' ');
}

function commitmentText(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { preview, sha256, bytes } = value as Readonly<Record<string, unknown>>;
  if (typeof sha256 !== 'string' || typeof bytes !== 'number') return undefined;
  return `${typeof preview === 'string' ? preview : ''}… (${bytes} bytes, sha256 ${sha256.slice(0, 12)}…)`;
}
