import { isDeepStrictEqual } from 'node:util';
import type { AuditEvent, JsonObject, JsonValue } from '@gatebook/audit';
import type { Key } from './keys.js';
import type { Loaded, Setting } from './load.js';

/** A key whose value has changed. */
export interface Change {
  readonly key: Key;
  readonly from: Setting;
  readonly to: Setting;
}

export function changesBetween(before: Loaded, after: Loaded): Change[] {
  return after.settings.flatMap((to, at): Change[] => {
    const from = before.settings[at]!;
    return isDeepStrictEqual(from.value, to.value) ? [] : [{ key: to.key, from, to }];
  });
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

function changeObject({ key, from, to }: Change): JsonObject {
  return {
    key: key.name,
    from: shownValue(from),
    to: shownValue(to),
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
