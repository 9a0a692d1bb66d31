import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { repository } from '../cli/gatebook.js';

/** The log as it stood at one step of the year. */
export interface Step {
  readonly day: number;
  /** All so far, and those whose lines are still there. */
  readonly records: number;
  readonly kept: number;
  readonly segments: number;
  /** Of everything in the log folder. */
  readonly bytes: number;
  readonly publicSeconds: number;
  readonly auditorSeconds: number;
}

const thousands = (n: number): string => n.toLocaleString('en-US');

/** Writes docs/year.md. */
export function writePage(steps: readonly Step[]): void {
  const rows = steps.map(
    (step) =>
      `| ${step.day + 1} | ${thousands(step.records)} | ${thousands(step.kept)} | ${step.segments} | ${(step.bytes / 2 ** 20).toFixed(0)} | ${step.publicSeconds.toFixed(1)} | ${step.auditorSeconds.toFixed(1)} |`,
  );
  const text = [
    '# A year of a log',
    '',
    'Sizes and times of the run of `conformance/year` in full: a session a day, daily rotation, 30 days of retention, a witness. One run',
    `of one machine (${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}), of which other work may have taken a part; the times are of whole`,
    '`gatebook audit verify` processes, which ask the witness and hold three older checkpoints against the log too.',
    '',
    '| day | records | kept | segments | MiB of the log folder | public, s | auditor, s |',
    '|---:|---:|---:|---:|---:|---:|---:|',
    ...rows,
    '',
  ];
  writeFileSync(join(repository, 'docs', 'year.md'), text.join('\n'));
}
