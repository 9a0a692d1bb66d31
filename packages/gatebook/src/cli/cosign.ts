import {
  AuditError,
  cosignNewest,
  logStatus,
  type OutsideOptions,
  type Progress,
} from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { usageError } from './failure.js';
import { requireLog } from './log-folder.js';
import { checkpointCovering } from './newest-checkpoint.js';
import type { Places } from './places.js';
import { count } from './talk.js';
import { visible } from './visible.js';

/** `gatebook audit cosign`: sends a checkpoint of everything recorded so far to every witness and anchor, once. */
export async function cosign(options: {
  readonly places: Places;
  readonly outside: OutsideOptions;
}): Promise<number> {
  const { places, outside } = options;
  await requireLog(places.dir);
  const { records } = await logStatus({ dir: places.dir, keysDir: places.keysDir });
  await checkpointCovering(places, records);
  let sent: readonly Progress[];
  try {
    sent = await cosignNewest({ ...outside, dir: places.dir });
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    throw usageError(error.message, error);
  }
  await writeStdout(sent.map((progress) => `${lineOf(progress)}\n`).join(''));
  return sent.length > 0 && sent.every(({ error }) => error === undefined) ? 0 : 1;
}

function lineOf({ kind, name, size, confirmed, error }: Progress): string {
  const who = `${kind} ${visible(name)}`;
  if (size === undefined) return `${who}: ${visible(error ?? 'failed')}`;
  return `${who}: has ${count(size)} records as of ${visible(confirmed ?? '')}`;
}
