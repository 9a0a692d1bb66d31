import { type ArchiveReport, archiveLog } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { count, counted } from './talk.js';
import { visible } from './visible.js';

/** `gatebook audit archive`: compresses the sealed segments of a log that is closed. */
export async function archive(options: {
  readonly places: Places;
  readonly json: boolean;
}): Promise<number> {
  const { dir, keysDir } = options.places;
  await requireLog(dir);
  const report = await archiveLog({ dir, keysDir });
  await writeStdout(options.json ? `${JSON.stringify(jsonOf(report))}\n` : textOf(report));
  return report.unarchived.length > 0 ? 1 : 0;
}

function nameOf(firstSeq: number): string {
  return `${String(firstSeq).padStart(20, '0')}.jsonl`;
}

/** Snake case, as everything else that leaves as JSON. */
function jsonOf({ archived, unarchived }: ArchiveReport): unknown {
  const done = archived.map(({ firstSeq, lastSeq, lineBytes, bytes }) => ({
    segment: nameOf(firstSeq),
    first_seq: firstSeq,
    last_seq: lastSeq,
    line_bytes: lineBytes,
    bytes,
  }));
  return { archived: done, unarchived };
}

function textOf({ archived, unarchived }: ArchiveReport): string {
  const lines = archived.map(
    ({ firstSeq, lastSeq, lineBytes, bytes }) =>
      `${nameOf(firstSeq)}.gz  records ${count(firstSeq)} to ${count(lastSeq)}  ${counted(bytes, 'byte')} for ${count(lineBytes)} of lines\n`,
  );
  const left = unarchived.map(
    ({ segment, reason }) => `${visible(`${segment} stays: ${reason}`)}\n`,
  );
  return `${lines.join('')}${left.join('')}${counted(archived.length, 'segment')} archived\n`;
}
