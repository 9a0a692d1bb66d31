import { AuditError, type AuditLog, type Removed } from '@gatebook/audit';
import type { Keeping } from '../keeping.js';
import { openLog } from '../open-log.js';
import { writeStdout } from './destination.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { count, counted, warnForwardSecurity } from './talk.js';

export interface PruneOptions {
  readonly places: Places;
  readonly keeping: Keeping;
  readonly dryRun: boolean;
  readonly confirmClock: boolean;
}

/** `gatebook audit prune`: deletes what the policy in the book lets go, or says what that would be. */
export async function prune(options: PruneOptions): Promise<number> {
  const { places, keeping, dryRun, confirmClock } = options;
  await requireLog(places.dir);
  const { retention, ...kept } = keeping;
  const log = await openLog({ ...(dryRun ? kept : keeping), ...places });
  try {
    warnForwardSecurity(log.forwardSecurity);
    if (!dryRun) checkPolicyTakes(log, keeping);
    const removed = await log.prune(
      dryRun ? { dryRun, confirmClock, retention } : { confirmClock },
    );
    await writeStdout(textOf(removed, dryRun));
    return 0;
  } finally {
    await log.close();
  }
}

/** The policy of whoever writes the log is in force; one that was given here would be dropped without a word. */
function checkPolicyTakes(log: AuditLog, { retention }: Keeping): void {
  if (log.isWriter || retention === undefined) return;
  throw new AuditError(
    'bad_option',
    'another process writes the log, and its policy is in force; give the policy to that one, or end it, or leave the policy out here',
  );
}

function textOf(removed: readonly Removed[], dryRun: boolean): string {
  const lines = removed.map(
    ({ firstSeq, lastSeq, reason }) =>
      `${String(firstSeq).padStart(20, '0')}.jsonl  records ${count(firstSeq)} to ${count(lastSeq)}  ${reason}\n`,
  );
  const what = `${counted(removed.length, 'segment')} ${dryRun ? 'would be deleted' : 'deleted'}`;
  return `${lines.join('')}${what}\n`;
}
