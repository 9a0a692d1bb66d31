import {
  ContentReader,
  type ContentState,
  findSubjects,
  type LogRecord,
  originOfLog,
} from '@gatebook/audit';
import { codeOf, reasonOf } from './failure.js';
import type { Places } from './places.js';
import { say } from './talk.js';

/** A record with what stands behind its commitments and its pseudonym. */
export interface OpenedRecord {
  /** As JSON: the record as it is stored, `opened` (text by member) and `unopened` (why not, by member) behind it. */
  readonly line: Buffer;
  /** With the content in the places of what stands for it. */
  readonly record: LogRecord;
}

export type OpenRecord = (record: LogRecord, segment: string) => OpenedRecord;

/** Opens records for who may read the keys folder. */
export function recordOpener({ dir, keysDir }: Places): OpenRecord {
  const reader = new ContentReader({ dir, keysDir, origin: originOfLog(dir) });
  return (record, segment) => {
    const opened: Record<string, string> = {};
    const unopened: Record<string, Exclude<ContentState, 'opened'>> = {};
    for (const { member, state, content } of reader.open(record, Number.parseInt(segment, 10))) {
      if (content !== undefined) opened[member] = content;
      else if (state !== 'opened') unopened[member] = state;
    }
    return {
      line: Buffer.from(JSON.stringify({ ...record, opened, unopened })),
      record: withMembers(record, opened),
    };
  };
}

function withMembers(record: LogRecord, members: Readonly<Record<string, string>>): LogRecord {
  const filled: Record<string, unknown> = { ...record };
  for (const [member, content] of Object.entries(members)) {
    const [section = '', name = ''] = member.split('.');
    filled[section] = { ...(filled[section] as object), [name]: content };
  }
  return filled as unknown as LogRecord;
}

/** User ids and usernames, and the pseudonyms behind which they stand in records, while their keys are there. */
export function withPseudonyms({ dir, keysDir }: Places, users: readonly string[]): string[] {
  try {
    return users.flatMap((user) => [
      user,
      ...findSubjects(dir, keysDir, user).map(({ subject }) => subject.pseudonym),
    ]);
  } catch (error) {
    // The keys may be those of another log, or not ours to read: then only what stands in plain text is found.
    if (!['EACCES', 'wrong_log'].includes(codeOf(error) ?? '')) throw error;
    say(`pseudonyms are not looked up: ${reasonOf(error)}`);
    return [...users];
  }
}
