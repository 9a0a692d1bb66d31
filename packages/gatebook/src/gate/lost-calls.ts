import * as fs from 'node:fs';
import { join } from 'node:path';
import {
  type AuditEvent,
  isEventType,
  type LogRecord,
  parseCheckpointText,
  parseNote,
  parseRecord,
  readLines,
} from '@gatebook/audit';

/** How far back a log is looked through for calls without an outcome, at the most. */
const recordsMax = 100_000;

const phases = ['"phase":"intent"', '"phase":"outcome"'].map((text) => Buffer.from(text));

/** The calls of a log that have an intent and, so far, no outcome. */
export interface OpenCalls {
  /** The intents, oldest first. */
  readonly intents: readonly LogRecord[];
  /** The seq after the last record that was read. */
  readonly nextSeq: number;
}

/** Looks through the records from `fromSeq` on, but not further back than the newest `newest` of them (100,000). */
export async function openCalls(
  dir: string,
  fromSeq: number,
  newest = recordsMax,
): Promise<OpenCalls> {
  const intents = new Map<string, LogRecord>();
  let nextSeq = Math.max(fromSeq, signedSize(dir) - newest, 0);
  for await (const { seq, line } of readLines(dir, { fromSeq: nextSeq, passOver: () => {} })) {
    nextSeq = seq + 1;
    if (!phases.some((phase) => line.includes(phase))) continue;
    const record = recordIn(line);
    const id = record?.call_id;
    if (record === undefined || id === undefined) continue;
    if (record.action?.phase === 'intent') intents.set(id, record);
    else if (record.action?.phase === 'outcome') intents.delete(id);
  }
  return { intents: [...intents.values()], nextSeq };
}

/** A damaged line is for `gatebook audit verify`. */
function recordIn(line: Uint8Array): LogRecord | undefined {
  try {
    return parseRecord(line);
  } catch {
    return undefined;
  }
}

/** How many records the newest checkpoint covers: where to begin, so nothing hangs on it. */
function signedSize(dir: string): number {
  try {
    return parseCheckpointText(parseNote(fs.readFileSync(join(dir, 'checkpoint'))).text).size;
  } catch {
    return 0;
  }
}

/**
 * The outcome of a call that nobody knows any more. `personal`: the log keeps persons out of its records, and what stands for one in
 * the intent cannot be said again.
 */
export function unknownOutcome(intent: LogRecord, personal: boolean): AuditEvent | undefined {
  const { event_type: eventType, actor, session_id, call_id, source, action = {} } = intent;
  if (!isEventType(eventType)) return undefined;
  const { tool, command, resource } = action;
  const { channel, user_id: userId, agent } = actor ?? {};
  return {
    eventType,
    ...(actor === undefined
      ? {}
      : { actor: personal ? { channel, agent } : { channel, userId, agent } }),
    sessionId: session_id,
    callId: call_id,
    source,
    action: {
      phase: 'outcome',
      tool,
      resource,
      ...(typeof command === 'string' && !personal
        ? { command: command.slice(0, commandCharsMax).toWellFormed() }
        : {}),
    },
    result: {
      success: false,
      status: 'unknown',
      error: `${intent.emitter}, which made the call, has gone without saying how it ended`,
    },
    details: { intent_seq: intent.seq },
  };
}

/** The intent has all of it. */
const commandCharsMax = 1_024;
