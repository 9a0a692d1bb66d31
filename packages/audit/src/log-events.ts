import type { JsonObject } from './event.js';
import { newId } from './id.js';
import { encodeJson } from './json-text.js';
import { lineBytesMax } from './record.js';
import { formatTime } from './timestamp.js';

/** The log's own records; docs/format.md §3. */
export type LogEventType =
  | 'log.opened'
  | 'log.recovered'
  | 'log.epoch'
  | 'log.sealed'
  | 'log.closed'
  | 'log.clock_jump';

/** The middle of a line for one of the log's own records. */
export function encodeLogEvent(type: LogEventType, nowMs: number, details: JsonObject): string {
  const id = newId('evt_');
  return `"timestamp":"${formatTime(nowMs)}","event_id":"${id}","event_type":"${type}","emitter":"log","details":${encodeJson(details, 'details', lineBytesMax)}`;
}
