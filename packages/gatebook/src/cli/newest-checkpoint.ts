import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuditError,
  checkNote,
  logStatus,
  openAuditLog,
  parseCheckpointText,
  parseNote,
  parseVerifierKey,
} from '@gatebook/audit';
import { CliError } from './failure.js';
import { readIfThere } from './log-folder.js';
import type { Places } from './places.js';
import { count, warnForwardSecurity } from './talk.js';

/** A running writer makes a checkpoint every second while there is news; this is several of them. */
const waitMsMax = 5000;
const pollMs = 100;

/**
 * A signed note that covers at least the first `size` records. Makes one when the log is free; when another process
 * writes, waits for that one's own.
 */
export async function checkpointCovering(places: Places, size: number): Promise<string> {
  const made = await newestCheckpoint(places);
  if (made !== undefined && made.size >= size) return made.note;
  try {
    return await makeCheckpoint(places);
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'log_locked') throw error;
    return await awaitCheckpoint(places, size, error);
  }
}

async function makeCheckpoint(places: Places): Promise<string> {
  const log = await openAuditLog({ dir: places.dir, keysDir: places.keysDir });
  try {
    warnForwardSecurity(log.forwardSecurity);
    return await log.checkpoint();
  } finally {
    await log.close();
  }
}

async function awaitCheckpoint(places: Places, size: number, cause: AuditError): Promise<string> {
  for (let waited = 0; waited < waitMsMax; waited += pollMs) {
    await sleep(pollMs);
    const made = await newestCheckpoint(places);
    if (made !== undefined && made.size >= size) return made.note;
  }
  const { lockedBy } = await logStatus({ dir: places.dir, keysDir: places.keysDir });
  const holder = lockedBy === undefined ? 'another process' : `process ${lockedBy}`;
  throw new CliError(
    1,
    `${holder} has the log open and made no checkpoint of ${count(size)} records within ${waitMsMax / 1000} s; try again, or end it first`,
    { cause },
  );
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
