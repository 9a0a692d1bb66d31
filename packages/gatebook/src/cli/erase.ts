import { type Erased, type ErasureSurvey, surveyErasure } from '@gatebook/audit';
import { openLog } from '../open-log.js';
import { writeStdout } from './destination.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { count, counted, say, warnForwardSecurity } from './talk.js';
import { visible } from './visible.js';

export interface EraseOptions {
  readonly places: Places;
  /** A user id or a username. */
  readonly user: string;
  readonly dryRun: boolean;
  readonly despiteHold: boolean;
  readonly json: boolean;
}

/** What nobody can find out by looking into the two folders. */
const elsewhere = [
  'backups and copies of the log and keys folders',
  'what was exported or printed from it, and the files of other programs',
  'what a disk keeps of overwritten and deleted files',
];

/**
 * `gatebook audit erase`: destroys the keys of whoever has this user id or username, or says what that would be. What stands in
 * plain text elsewhere in the log stays, and is listed.
 */
export async function erase(options: EraseOptions): Promise<number> {
  const { places, user, dryRun, json } = options;
  await requireLog(places.dir);
  const survey = await surveyErasure({ ...places, user });
  const erased = dryRun ? undefined : await carryOut(options);
  const known = (erased ?? survey).subjects.length > 0;
  await writeStdout(
    json ? `${JSON.stringify(jsonOf(survey, erased, options))}\n` : textOf(survey, erased, options),
  );
  if (!known) say('the log knows nobody of this name by a key; nothing was to be erased');
  return 0;
}

async function carryOut({ places, user, despiteHold }: EraseOptions): Promise<Erased> {
  const log = await openLog(places);
  try {
    warnForwardSecurity(log.forwardSecurity);
    return await log.erase(user, { despiteHold });
  } finally {
    await log.close();
  }
}

function jsonOf(
  survey: ErasureSurvey,
  erased: Erased | undefined,
  { user, dryRun }: EraseOptions,
): object {
  const found = erased ?? {
    subjects: survey.subjects.map(({ pseudonym }) => pseudonym),
    contents: survey.contents.count,
  };
  return {
    user,
    dry_run: dryRun,
    subjects: found.subjects,
    contents: found.contents,
    unreached: { records: survey.records, files: survey.files, elsewhere },
  };
}

function textOf(
  survey: ErasureSurvey,
  erased: Erased | undefined,
  { dryRun }: EraseOptions,
): string {
  const subjects = erased?.subjects ?? survey.subjects.map(({ pseudonym }) => pseudonym);
  const contents = erased?.contents ?? survey.contents.count;
  const lines = [
    ...subjects,
    `${counted(subjects.length, 'key')} and ${counted(contents, 'content')} ${dryRun ? 'would be erased' : 'erased'}`,
    'not reached:',
    ...recordsText(survey),
    ...survey.files.map((file) => `  ${file}`),
    ...elsewhere.map((place) => `  ${place}`),
  ];
  return lines.map((line) => `${visible(line)}\n`).join('');
}

function recordsText({ records }: ErasureSurvey): string[] {
  if (records.count === 0) return [];
  const shown = records.seqs.map(count).join(', ');
  const more = records.count > records.seqs.length ? ', …' : '';
  return [
    `  ${counted(records.count, 'record')} in which it stands in plain text: ${shown}${more}`,
  ];
}
