import * as path from 'node:path';
import type { JsonObject } from './event.js';
import { newId } from './id.js';
import { encodeJson } from './json-text.js';
import { initialKeyOnHost, type Keys } from './keys.js';
import type { ContentMode, WriterOptions } from './options.js';
import { lineBytesMax } from './record.js';
import type { Policy } from './retention.js';
import { formatTime } from './timestamp.js';

/** The log's own records; docs/format.md §3. */
export type LogEventType =
  | 'log.opened'
  | 'log.recovered'
  | 'log.epoch'
  | 'log.sealed'
  | 'log.closed'
  | 'log.clock_jump'
  | 'log.repaired'
  | 'log.clock_confirmed'
  | 'log.pruned'
  | 'log.erased'
  | 'log.key_rotated'
  | 'log.key_retired';

/** The middle of a line for one of the log's own records. */
export function encodeLogEvent(type: LogEventType, nowMs: number, details: JsonObject): string {
  const id = newId('evt_');
  return `"timestamp":"${formatTime(nowMs)}","event_id":"${id}","event_type":"${type}","emitter":"log","details":${encodeJson(details, 'details', lineBytesMax)}`;
}

const softwareName = 'gatebook-audit/0.1.0';

/** What `log.opened` says: whose log this is and how it is kept from here on. */
export function openedFacts(
  options: WriterOptions,
  keys: Keys,
  retention: Policy,
  content: ContentMode,
): JsonObject {
  const initialKey = initialKeyOnHost(keys.folder);
  return {
    format: 1,
    origin: keys.origin,
    public_key: keys.signing.publicKey.text,
    retention,
    ...(content === 'off' ? {} : { content }),
    durability: options.durability,
    checkpoint_interval_ms: options.checkpointIntervalMs,
    segment_bytes_max: options.segmentBytesMax,
    rotate: options.rotate,
    forward_security:
      initialKey === undefined
        ? { on: true }
        : { on: false, initial_key_file: path.basename(initialKey) },
    software: softwareName,
    pid: process.pid,
  };
}
