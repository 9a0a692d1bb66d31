import { AuditError, findEvent, logStatus, proveRecord } from '@gatebook/audit';
import { outputFile, standardOutput, withDestination } from './destination.js';
import { CliError } from './failure.js';
import { requireLog } from './log-folder.js';
import { checkpointCovering } from './newest-checkpoint.js';
import type { Places } from './places.js';
import { count } from './talk.js';

export interface ProveOptions {
  readonly places: Places;
  /** Which record: one of the two. */
  readonly record: { readonly seq: number } | { readonly eventId: string };
  /** Default: standard output. */
  readonly output?: string | undefined;
}

/** `gatebook audit prove`: one record's inclusion proof as a file that can be checked without the log. */
export async function prove(options: ProveOptions): Promise<number> {
  const { places, output } = options;
  await requireLog(places.dir);
  const seq =
    'seq' in options.record ? options.record.seq : await seqOf(places, options.record.eventId);
  const proof = await proofOf(places, seq);
  const destination = output === undefined ? standardOutput() : await outputFile(output, places);
  await withDestination(destination, async () => await destination.write(proof));
  return 0;
}

async function seqOf(places: Places, eventId: string): Promise<number> {
  const seq = await findEvent(places.dir, eventId);
  if (seq === undefined)
    throw new CliError(1, `no record in ${places.dir} has the event id ${eventId}`);
  return seq;
}

/** A record behind the newest checkpoint is proved against a new one. */
async function proofOf(places: Places, seq: number): Promise<string> {
  try {
    return await proveRecord({ dir: places.dir, seq });
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'not_found') throw error;
  }
  const { records } = await logStatus({ dir: places.dir, keysDir: places.keysDir });
  if (seq >= records) {
    throw new CliError(
      1,
      `there is no record ${count(seq)}: the log has ${count(records)}, counted from 0`,
    );
  }
  await checkpointCovering(places, seq + 1);
  return await proveRecord({ dir: places.dir, seq });
}
