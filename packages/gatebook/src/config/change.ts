import { isDeepStrictEqual } from 'node:util';
import type { AuditEvent, JsonObject, JsonValue } from '@gatebook/audit';
import type { Key } from './keys.js';
import type { Loaded, Setting } from './load.js';
import type { NamedFile } from './named-files.js';

/** A key whose value has changed. */
export interface Change {
  readonly key: Key;
  readonly from: Setting;
  readonly to: Setting;
  /** Of a key whose files decide: those it names now. */
  readonly files: readonly NamedFile[];
}

export function changesBetween(before: Loaded, after: Loaded): Change[] {
  return after.settings.flatMap((to, at): Change[] => {
    const from = before.settings[at]!;
    const files = namedBy(to, after);
    const same =
      isDeepStrictEqual(from.value, to.value) &&
      isDeepStrictEqual(namedBy(from, before).map(hashOf), files.map(hashOf));
    return same ? [] : [{ key: to.key, from, to, files }];
  });
}

function namedBy({ key, value }: Setting, { files }: Loaded): readonly NamedFile[] {
  if (key.decides !== true) return [];
  return files.filter(({ path }) => [value].flat().includes(path));
}

function hashOf({ sha256 }: NamedFile): string | undefined {
  return sha256;
}

/** Files by name and hash, for records. */
export function namedObjects(files: readonly NamedFile[]): JsonObject[] {
  return files.map(({ path, sha256 = null }) => ({ path: path.toWellFormed(), sha256 }));
}

const masked = '(not shown)';

/** A value as others may see it. */
export function shownValue({ key, value }: Pick<Setting, 'key' | 'value'>): JsonValue {
  if (value === undefined) return null;
  return key.secret === true ? masked : wellFormed(value as JsonValue);
}

/** The record of changes in a running gate. What may hold a secret is not shown. */
export function changeEvent(changes: readonly Change[]): AuditEvent {
  return {
    eventType: 'config_change',
    source: 'gatebook config',
    details: { changes: changes.map(changeObject) },
  };
}

function changeObject({ key, from, to, files }: Change): JsonObject {
  return {
    key: key.name,
    from: shownValue(from),
    to: shownValue(to),
    ...(files.length === 0 ? {} : { files: namedObjects(files) }),
    origin: to.origin,
    ...(to.source === undefined ? {} : { source: to.source.toWellFormed() }),
    in_force: key.live === true ? 'now' : 'at the next start',
  };
}

/** As it was checked, a value is plain; only its texts may hold what no record takes. */
function wellFormed(value: JsonValue): JsonValue {
  const text = JSON.stringify(value);
  return JSON.parse(text.toWellFormed()) as JsonValue;
}
