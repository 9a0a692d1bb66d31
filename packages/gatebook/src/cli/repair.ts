import { type RepairReport, repairLog } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { requireFolder } from './log-folder.js';
import type { Places } from './places.js';
import { visible } from './visible.js';

export interface RepairCommand {
  readonly places: Places;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** `gatebook audit repair`: sets damage aside, records it and lets the log go on. */
export async function repair({ places, dryRun, json }: RepairCommand): Promise<number> {
  await requireFolder(places.dir, places.dir, 1);
  const report = await repairLog({ dir: places.dir, keysDir: places.keysDir, dryRun });
  await writeStdout(json ? reportJson(report, dryRun) : reportText(report, dryRun));
  return report.remaining.length > 0 ? 1 : 0;
}

const headings: Readonly<Record<RepairReport['action'], readonly [string, string]>> = {
  none: ['nothing to repair', 'nothing to repair'],
  continue: ['repaired: the log goes on', 'would be repaired: the log would go on'],
  new_origin: [
    'set aside: a new log begins, whose first record names the old one',
    'would be set aside: a new log would begin, whose first record names the old one',
  ],
};

function reportText(report: RepairReport, dryRun: boolean): string {
  const lines = [headings[report.action][dryRun ? 1 : 0], `  ${report.reason}`];
  for (const [from, to] of report.ranges) lines.push(`  lost: records ${from} to ${to - 1}`);
  const into = report.folder === undefined ? '' : ` into ${report.folder}`;
  for (const file of report.files) lines.push(`  set aside${into}: ${file}`);
  if (report.seq !== undefined) lines.push(`  recorded by log.repaired, seq ${report.seq}`);
  if (report.origin !== undefined) lines.push(`  origin: ${report.origin}`);
  for (const { reason, file } of report.remaining)
    lines.push(`  cannot be repaired: ${file === undefined ? '' : `${file}: `}${reason}`);
  return lines.map((line) => `${visible(line)}\n`).join('');
}

function reportJson({ reason, ...report }: RepairReport, dryRun: boolean): string {
  return `${JSON.stringify({ action: report.action, dry_run: dryRun, reason, origin: report.origin, ranges: report.ranges, files: report.files, folder: report.folder, seq: report.seq, remaining: report.remaining })}\n`;
}
