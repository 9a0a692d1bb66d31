import {
  promisedBy,
  readRecords,
  wrongAnswer,
  wrongFiles,
  wrongKeys,
  wrongRecords,
} from './book.js';
import type { Checker } from './checker.js';
import type { Folders } from './load.js';

/** Verifies, opens and verifies a log that was left behind, and says what is wrong with it and with what was promised. */
export async function inspect(
  folders: Folders,
  said: Iterable<string>,
  checker: Checker,
): Promise<string[]> {
  const before = readRecords(folders.log).length;
  const answer = await checker.check(folders.log, folders.keys);
  const wrong = wrongAnswer(answer, before);
  if (answer.error !== undefined) return wrong;
  const records = readRecords(folders.log);
  wrong.push(...wrongRecords(records, promisedBy(said)));
  wrong.push(...wrongFiles(folders.log, records), ...wrongKeys(folders.keys, records));
  return wrong;
}
