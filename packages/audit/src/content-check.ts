import { ContentReader, type ContentState } from './content-reader.js';
import { originOfLog } from './erasure-survey.js';
import { AuditError } from './errors.js';
import { parseRecord, readLines } from './reader.js';

/** How the content behind a log's commitments stands. */
export interface ContentReport {
  /** Members by what became of their content. */
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
  for await (const { seq, line, segment } of readLines(options.dir)) {
    if (!line.includes('"ref":"cnt_')) continue;
    for (const { member, state } of reader.open(recordOf(line), Number.parseInt(segment, 10))) {
      if (member === 'actor.user_id') continue;
      members[state]++;
      if (state === 'altered' && altered.length < listedMax) altered.push({ seq, member });
    }
  }
  return { members, altered };
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
