import { join } from 'node:path';
import {
  AuditError,
  checkNote,
  parseCheckpointText,
  parseNote,
  parseVerifierKey,
} from '@gatebook/audit';
import { openLog } from '../open-log.js';
import type { LogChoice } from './log-choice.js';
import { readIfThere } from './log-folder.js';
import type { Places } from './places.js';
import { warnForwardSecurity } from './talk.js';

/** A signed note that covers at least the first `size` records; the log's writer, whoever that is, makes one where needed. */
export async function checkpointCovering(places: Places, size: number): Promise<string> {
  const made = await newestCheckpoint(places);
  if (made !== undefined && made.size >= size) return made.note;
  return await makeCheckpoint(places);
}

/** A checkpoint of everything that is recorded. */
export async function makeCheckpoint(choice: LogChoice): Promise<string> {
  const log = await openLog(choice);
  try {
    warnForwardSecurity(log.forwardSecurity);
    return await log.checkpoint();
  } finally {
    await log.close();
  }
}

/** The published checkpoint, when it is signed by the key in the keys folder, or when there is no such key to ask. */
async function newestCheckpoint(
  places: Places,
): Promise<{ note: string; size: number } | undefined> {
  const note = await readIfThere(join(places.dir, 'checkpoint'));
  if (note === undefined) return undefined;
  const key = await readIfThere(join(places.keysDir, 'public-key'));
  try {
    const parsed = parseNote(Buffer.from(note));
    const signed = key === undefined || checkNote(parsed, [parseVerifierKey(key)]) === 'signed';
    return signed ? { note, size: parseCheckpointText(parsed.text).size } : undefined;
  } catch (error) {
    // One that cannot be read covers nothing; opening the log says what is wrong with it.
    if (error instanceof AuditError) return undefined;
    throw error;
  }
}
