import type { ContentMode, Dimension, HoldFilter, RetentionOptions, Rotate } from '@gatebook/audit';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { AuditConfig } from '../config/schema.js';
import type { Keeping } from '../keeping.js';
import { usageError } from './failure.js';
import { positiveInteger, segmentBytes } from './option-values.js';
import { type OutsideFlags, outsideFrom, withOutside } from './outside-options.js';

/** How a log is kept: when a segment is sealed, what may be deleted, and who holds evidence of it. */
export interface KeepingFlags extends RetentionFlags, OutsideFlags {
  /** In bytes. */
  readonly maxSizeMb?: number;
  readonly rotate?: Rotate;
  readonly archive?: boolean;
  readonly content?: ContentMode;
}

interface RetentionFlags {
  readonly retentionDays?: number;
  /** In bytes. */
  readonly maxTotalMb?: number;
  readonly maxRecords?: number;
  readonly keepType?: Readonly<Record<string, number>>;
  readonly hold?: readonly HoldFilter[];
  readonly keepAll?: boolean;
}

/** What the flags say, and of what they do not say the configuration, key by key. */
export async function keepingFrom(flags: KeepingFlags, audit?: AuditConfig): Promise<Keeping> {
  const retention = retentionFrom(flags, audit);
  const outside = await outsideFrom(flags, audit);
  const keeping = {
    segmentBytesMax: flags.maxSizeMb ?? bytesOf(audit?.maxSizeMb),
    rotate: flags.rotate ?? audit?.rotate,
    archive: flags.archive ?? audit?.archive,
    content: flags.content ?? audit?.content,
    checkpointRecordsMax: audit?.signEvents === true ? 1 : undefined,
    ...outside,
  };
  return retention === undefined ? keeping : { ...keeping, retention };
}

/** The policy to be recorded; undefined leaves the one that the log has. */
function retentionFrom(
  flags: RetentionFlags,
  audit?: AuditConfig,
): RetentionOptions | 'never' | undefined {
  const { retentionDays, maxTotalMb, maxRecords, keepType, hold, keepAll } = flags;
  const deleting = [retentionDays, maxTotalMb, maxRecords].some((value) => value !== undefined);
  if (keepAll === true) {
    if (deleting || keepType !== undefined || hold !== undefined)
      throw usageError('--keep-all goes with no other option of retention');
    return 'never';
  }
  const policy = {
    retentionDays: retentionDays ?? audit?.retentionDays,
    totalBytesMax: maxTotalMb ?? bytesOf(audit?.maxTotalMb),
    recordsMax: maxRecords ?? audit?.maxRecords,
    typeDays: keepType ?? audit?.keepTypes,
    hold: hold ?? audit?.holds.map(holdOf),
  };
  const deletes = [policy.retentionDays, policy.totalBytesMax, policy.recordsMax];
  if (deletes.some((value) => value !== undefined)) return policy;
  if (keepType === undefined && hold === undefined) return undefined;
  throw usageError('--keep-type and --hold need --retention-days, --max-total-mb or --max-records');
}

function holdOf(filter: AuditConfig['holds'][number]): HoldFilter {
  const values = Object.entries(filter).filter(([, value]) => value !== undefined);
  return Object.fromEntries(values);
}

function bytesOf(mebibytes: number | undefined): number | undefined {
  return mebibytes === undefined ? undefined : Math.round(mebibytes * 1024 * 1024);
}

/** The options of a command that writes a log. */
export function withKeeping(command: Command): Command {
  command
    .addOption(
      new Option(
        '--max-size-mb <n>',
        'seal a segment of the log when it has reached this many mebibytes (default: 100)',
      ).argParser(segmentBytes),
    )
    .addOption(
      new Option(
        '--rotate <when>',
        'seal a segment too when the hour, day or week (UTC) has ended (default: size)',
      ).choices(rotations),
    )
    .option('--archive', 'compress sealed segments in the background, as gzip archives')
    .addOption(
      new Option(
        '--content <what>',
        'content that does not stand in records: off, keep it sealed, or personal: seal all that may be personal (default: as the log has it)',
      ).choices(contentModes),
    );
  return withOutside(withRetention(command));
}

const contentModes: readonly ContentMode[] = ['off', 'keep', 'personal'];
const rotations: readonly Rotate[] = ['size', 'hourly', 'daily', 'weekly'];

/** The options of the policy by which segments are deleted. */
export function withRetention(command: Command): Command {
  return command
    .option('--retention-days <n>', 'delete segments this many days after their seal', days)
    .option('--max-total-mb <n>', 'delete the oldest while the lines are more mebibytes', mebibytes)
    .option('--max-records <n>', 'delete the oldest while there are more records', positiveInteger)
    .option(
      '--keep-type <type=days>',
      'but keep records of a type so long; may be repeated',
      keepType,
    )
    .option('--hold <name=value,...>', 'and keep records with these values; may be repeated', hold)
    .option('--keep-all', 'delete nothing any more');
}

function days(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}(\.\d{1,9})?$/.test(text) || value <= 0) {
    throw new InvalidArgumentError('Accepted: a number of days, fractions allowed.');
  }
  return value;
}

function mebibytes(text: string): number {
  if (!/^\d{1,9}(\.\d{1,6})?$/.test(text)) {
    throw new InvalidArgumentError('Accepted: a number of mebibytes, fractions allowed.');
  }
  return Math.round(Number(text) * 1024 * 1024);
}

function keepType(
  text: string,
  before: Readonly<Record<string, number>> | undefined,
): Record<string, number> {
  const [, type, number] = /^([a-z][a-z0-9_.]*)=(.+)$/.exec(text) ?? [];
  if (type === undefined || number === undefined) {
    throw new InvalidArgumentError('Accepted: an event type, =, and a number of days.');
  }
  return { ...before, [type]: days(number) };
}

const dimensions: readonly Dimension[] = ['actor', 'decision', 'risk', 'tool', 'type'];

function hold(text: string, before: readonly HoldFilter[] | undefined): HoldFilter[] {
  const filter: Record<string, string | boolean> = {};
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(at, 0));
    const value = part.slice(at + 1);
    const decision = name !== 'decision' || value === 'true' || value === 'false';
    if (!dimensions.includes(name as Dimension) || value === '' || !decision) {
      throw new InvalidArgumentError(
        `Accepted: ${dimensions.join(', ')}, each with = and a value.`,
      );
    }
    filter[name] = name === 'decision' ? value === 'true' : value;
  }
  return [...(before ?? []), filter];
}
