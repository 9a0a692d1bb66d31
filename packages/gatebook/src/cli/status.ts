import { type LogStatus, logStatus, type Progress, readProgress } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { count, counted, forwardSecurityText } from './talk.js';
import { visible } from './visible.js';

/** `gatebook audit status`: what lies there, without verifying it. */
export async function status(options: {
  readonly places: Places;
  readonly json: boolean;
}): Promise<number> {
  const { places } = options;
  await requireLog(places.dir);
  const found = await logStatus({ dir: places.dir, keysDir: places.keysDir });
  const outside = readProgress(places.dir);
  const text = options.json
    ? `${JSON.stringify(jsonOf(found, outside))}\n`
    : textOf(places, found, outside);
  await writeStdout(text);
  return 0;
}

/** Snake case, as everything else that leaves as JSON. */
function jsonOf(found: LogStatus, outside: readonly Progress[]): unknown {
  const { forwardSecurity: forward } = found;
  return {
    origin: found.origin,
    public_key: found.publicKey,
    records: found.records,
    segments: found.segments,
    bytes: found.bytes,
    archive: {
      segments: found.archive.segments,
      bytes: found.archive.bytes,
      line_bytes: found.archive.lineBytes,
      unarchived: found.archive.unarchived,
    },
    disk_bytes: found.diskBytes,
    epoch: found.epoch,
    checkpoint: found.checkpoint,
    pending: found.pending,
    rotation: {
      rotate: found.rotation.rotate,
      bytes: found.rotation.bytes,
      bytes_max: found.rotation.bytesMax,
      next: found.rotation.next,
    },
    retention: found.retention,
    content: {
      mode: found.content.mode,
      subjects: found.content.subjects,
      bytes: found.content.bytes,
      erasure_pending: found.content.erasurePending,
    },
    forward_security: { on: forward.on, initial_key_file: forward.initialKeyFile },
    locked_by: found.lockedBy,
    last_timestamp: found.lastTimestamp,
    outside: outside.map((progress) => ({ ...progress, lag: lagOf(found, progress) })),
  };
}

/** Records that are signed and not yet held there. */
function lagOf({ checkpoint }: LogStatus, { size }: Progress): number {
  return Math.max(0, (checkpoint?.size ?? 0) - (size ?? 0));
}

function outsideText(found: LogStatus, progress: Progress): string {
  const { name, size, confirmed, error } = progress;
  const held =
    size === undefined
      ? 'has nothing yet'
      : `${counted(lagOf(found, progress), 'record')} behind, as of ${confirmed}`;
  return `${name}: ${held}${error === undefined ? '' : `; failing: ${error}`}`;
}

function textOf(places: Places, found: LogStatus, outside: readonly Progress[]): string {
  const { checkpoint } = found;
  const rows: readonly (readonly [string, string])[] = [
    ['log', places.dir],
    ['origin', found.origin],
    ['public key', found.publicKey],
    [
      'records',
      `${count(found.records)} in ${counted(found.segments, 'segment')}, ${counted(found.bytes, 'byte')}`,
    ],
    ...archiveRows(found.archive),
    ['disk used', counted(found.diskBytes, 'byte')],
    ['oldest', found.retention.horizon],
    ['last record', found.lastTimestamp ?? 'none'],
    ['epoch', count(found.epoch)],
    [
      'checkpoint',
      checkpoint === undefined
        ? 'none yet'
        : `size ${count(checkpoint.size)}, root ${checkpoint.root}`,
    ],
    ['pending', counted(found.pending, 'record')],
    ['rotation', rotationText(found.rotation)],
    ['retention', retentionText(found.retention)],
    ['content', contentText(found.content)],
    ['writer', writerText(found.lockedBy)],
    ...outside.map((progress) => [progress.kind, outsideText(found, progress)] as const),
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(12)}${visible(value)}\n`);
  return `${lines.join('')}${visible(forwardSecurityText(found.forwardSecurity))}\n`;
}

/** Nothing where no segment is archived, nor could have been. */
function archiveRows(archive: LogStatus['archive']): (readonly [string, string])[] {
  const { segments, bytes, lineBytes, unarchived } = archive;
  const done = `${counted(segments, 'segment')}, ${counted(bytes, 'byte')} for ${count(lineBytes)} of lines`;
  return [
    ...(segments === 0 ? [] : [['archived', done] as const]),
    ...unarchived.map(({ segment, reason }) => ['unarchived', `${segment}: ${reason}`] as const),
  ];
}

function rotationText({ rotate, bytes, bytesMax, next }: LogStatus['rotation']): string {
  const size = `at ${counted(bytesMax, 'byte')}, now ${count(bytes)}`;
  if (rotate === 'size') return size;
  return `${rotate}, ${next === undefined ? 'nothing to seal' : `next at ${next}`}; or ${size}`;
}

function retentionText({ policy, pruned }: LogStatus['retention']): string {
  const { delete: what, ...terms } = policy;
  const rule = what === 'never' ? 'everything is kept' : JSON.stringify(terms);
  if (pruned.length === 0) return rule;
  const ranges = pruned.map(([from, to]) => `${count(from)} to ${count(to - 1)}`);
  return `${rule}; deleted: records ${ranges.join(', ')}`;
}

function contentText({ mode, subjects, bytes, erasurePending }: LogStatus['content']): string {
  const kept = `${counted(bytes, 'byte')} sealed for ${counted(subjects, 'subject')}`;
  const pending = erasurePending ? '; an erasure is not finished' : '';
  return `${mode}${mode === 'off' && bytes === 0 ? '' : `, ${kept}`}${pending}`;
}

function writerText(pid: number | undefined): string {
  if (pid === undefined) return 'none';
  return pid === 0 ? 'another process' : `process ${pid}`;
}
