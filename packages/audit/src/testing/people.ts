import * as fs from 'node:fs';
import * as path from 'node:path';
import { encodeContentLines } from '../content-lines.js';
import { ContentReader, type OpenedMember } from '../content-reader.js';
import type { AuditEvent } from '../event.js';
import { encodeEvent } from '../record.js';
import type { LogRecord } from '../stored-record.js';
import type { Writer } from '../writer.js';
import type { Told } from './direct-writer.js';
import { type Folders, linesOf } from './folders.js';

/** Alice, who is to be erased in most tests, and Bob, who stays. */

type User = readonly [id: string, name: string];
export const alice: User = ['alice-4711', '@alice'];
export const bob: User = ['bob-4712', '@bob'];

export function call([userId, username]: User, number: number, outputBytes = 10): AuditEvent {
  return {
    eventType: 'tool_execution',
    actor: { userId, username, ip: `203.0.113.${number % 250}` },
    action: { tool: 'read', command: `cat ${username}`, arguments: { of: userId, number } },
    result: { error: `no ${userId}`, output: username.repeat(outputBytes / 5) },
  };
}

/** As a log hands events to its writer. */
function batchOf(events: readonly AuditEvent[]): Buffer {
  const entries = events.map((event) => {
    const { text, openings } = encodeEvent(event, 'test');
    return `${encodeContentLines(openings)}${text}\n`;
  });
  return Buffer.from(entries.join(''));
}

export function append(writer: Writer, events: readonly AuditEvent[]): Told[] {
  const told: Told[] = [];
  writer.append(batchOf(events), events.length, {
    durable: (firstSeq, count) => told.push({ firstSeq, count }),
    failed: (count, error) => told.push({ count, error }),
  });
  return told;
}

export function recordsOf(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

export function opened(log: Folders, record: LogRecord): OpenedMember[] {
  const origin = String(recordsOf(log)[0]!.details!['origin']);
  const firstSeq = fs
    .readdirSync(path.join(log.dir, 'segments'))
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => Number.parseInt(name, 10))
    .filter((first) => first <= record.seq)
    .sort((a, b) => a - b)
    .at(-1)!;
  return new ContentReader({ ...log, origin }).open(record, firstSeq);
}

export function calls(log: Folders): LogRecord[] {
  return recordsOf(log).filter((record) => record.event_type === 'tool_execution');
}

/** Every file below both folders in which one of the words stands. */
export function filesWith(log: Folders, words: readonly string[]): string[] {
  const found: string[] = [];
  for (const folder of [log.dir, log.keysDir]) {
    for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(folder, name);
      if (!fs.statSync(file).isFile()) continue;
      const bytes = fs.readFileSync(file);
      if (words.some((word) => bytes.includes(word))) found.push(name);
    }
  }
  return found;
}
