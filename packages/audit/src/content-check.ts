import { ContentReader, type ContentState } from './content-reader.js';
import { originOfLog } from './erasure-survey.js';
import { AuditError } from './errors.js';
import { parseRecord, readLines } from './reader.js';
import type { LogRecord } from './stored-record.js';

/** How the content behind a log's commitments stands. */
export interface ContentReport {
  /** Members by what became of their content. What is said to be erased and was not, by the book, is missing. */
  readonly members: Readonly<Record<ContentState, number>>;
  /** The first 20 whose content is not what was committed to. */
  readonly altered: readonly { readonly seq: number; readonly member: string }[];
}

const listedMax = 20;

/**
 * Opens every commitment of a log and compares it. It says nothing about the log itself, which `verifyLog` judges. Throws
 * `not_found` where there is no log.
 */
export async function checkContents(options: {
  readonly dir: string;
  readonly keysDir: string;
}): Promise<ContentReport> {
  const reader = new ContentReader({ ...options, origin: originOfLog(options.dir) });
  const members = { opened: 0, erased: 0, missing: 0, no_key: 0, altered: 0 };
  const altered: { seq: number; member: string }[] = [];
  const erased = new Map<string, number>();
  const recorded = new Set<string>();
  // What cannot be read is for `verifyLog` to tell.
  for await (const { seq, line, segment } of readLines(options.dir, { passOver: () => {} })) {
    if (line.includes(erasedMarker)) for (const one of erasedIn(recordOf(line))) recorded.add(one);
    if (!line.includes('"ref":"cnt_')) continue;
    const opened = reader.open(recordOf(line), Number.parseInt(segment, 10));
    for (const { member, state, subject } of opened) {
      if (member === 'actor.user_id') continue;
      members[state]++;
      if (subject !== undefined) erased.set(subject, (erased.get(subject) ?? 0) + 1);
      if (state === 'altered' && altered.length < listedMax) altered.push({ seq, member });
    }
  }
  // Anybody can write into a file that something was erased; the book alone is evidence.
  for (const [subject, count] of erased) {
    if (recorded.has(subject)) continue;
    members.erased -= count;
    members.missing += count;
  }
  return { members, altered };
}

const erasedMarker = '"event_type":"log.erased","emitter":"log"';

/** The subjects that a record of an erasure names. */
function erasedIn(record: Partial<LogRecord>): string[] {
  const { event_type: type, emitter, details } = record;
  const subjects = details?.['subjects'];
  if (type !== 'log.erased' || emitter !== 'log' || !Array.isArray(subjects)) return [];
  return subjects.map(String);
}

/** What is no record has no content; that it is none, verification says. */
function recordOf(line: Buffer): object {
  try {
    return parseRecord(line);
  } catch (error) {
    if (error instanceof AuditError) return {};
    throw error;
  }
}
