import { AuditError } from './errors.js';
import type { JsonObject } from './event.js';
import { isEventType } from './event.js';
import { type Dimension, dimensions } from './tally-scan.js';

/**
 * What may be deleted, and when. Whole sealed segments go, oldest first, each because it is old enough, because there is
 * too much, or both; a minimum for an event type or a hold keeps every segment that its tally says holds such a record.
 */
export interface RetentionOptions {
  /** A segment may go this many days after its seal. Fractions are allowed. */
  readonly retentionDays?: number | undefined;
  /** The oldest segments may go while the lines of the log are more bytes than this. */
  readonly totalBytesMax?: number | undefined;
  /** The oldest segments may go while the log holds more records than this. */
  readonly recordsMax?: number | undefined;
  /** Days for which a segment with a record of this type stays, whatever the rest says. */
  readonly typeDays?: Readonly<Record<string, number>> | undefined;
  /** A segment stays while its tally has every value of one of these. */
  readonly hold?: readonly HoldFilter[] | undefined;
}

/** Values by dimension: `{ actor: 'ann', type: 'tool_execution' }`. Null stands for records without one. */
export type HoldFilter = Readonly<Partial<Record<Dimension, string | boolean | null>>>;

export type PruneReason = 'age' | 'size' | 'records';
export const pruneReasons: readonly PruneReason[] = ['age', 'size', 'records'];

/** The policy as the book has it, in `retention` of `log.opened`; docs/format.md §3.2. */
export type Policy = JsonObject;

export const keepAll: Policy = { delete: 'never' };

const dayMs = 86_400_000;
/** A clock that is this much ahead of the time that has passed stops deletion by age. */
export const aheadMsMax = dayMs;

/** The policy to be recorded for these options. Throws `bad_option`. */
export function policyFrom(options: RetentionOptions | 'never'): Policy {
  if (options === 'never') return keepAll;
  const bad = (name: string, wanted: string): AuditError =>
    new AuditError('bad_option', `retention.${name} must be ${wanted}`, { member: 'retention' });
  const number = (name: string, value: number | undefined, min: number): number | undefined => {
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < min)
      throw bad(name, `a number from ${min}`);
    return value;
  };
  const { typeDays = {}, hold = [] } = options;
  for (const [type, days] of Object.entries(typeDays)) {
    if (!isEventType(type)) throw bad(`typeDays.${type}`, 'a number for an event type');
    number(`typeDays.${type}`, days, 0);
  }
  for (const filter of hold) {
    const names = Object.keys(filter);
    if (names.length === 0 || !names.every((name) => dimensions.includes(name as Dimension)))
      throw bad('hold', `values by ${dimensions.join(', ')}`);
  }
  const policy = {
    retention_days: number('retentionDays', options.retentionDays, 1 / dayMs),
    max_total_bytes: number('totalBytesMax', options.totalBytesMax, 0),
    max_records: number('recordsMax', options.recordsMax, 0),
    type_days: Object.keys(typeDays).length === 0 ? undefined : { ...typeDays },
    hold: hold.length === 0 ? undefined : hold.map((filter) => ({ ...filter })),
  };
  const given = Object.entries(policy).filter(([, value]) => value !== undefined);
  return { delete: 'oldest', ...Object.fromEntries(given) };
}

/** A policy as it is judged by. */
export interface Terms {
  readonly days: number | undefined;
  readonly bytes: number | undefined;
  readonly records: number | undefined;
  readonly typeDays: Readonly<Record<string, number>>;
  readonly hold: readonly HoldFilter[];
}

/** Reads a recorded policy; undefined where it allows nothing: `never`, and whatever is no policy. */
export function termsOf(policy: unknown): Terms | undefined {
  if (!isObject(policy) || policy['delete'] !== 'oldest') return undefined;
  const { retention_days: days, max_total_bytes: bytes, max_records: records } = policy;
  const { type_days: typeDays = {}, hold = [] } = policy;
  for (const value of [days, bytes, records]) {
    if (value !== undefined && typeof value !== 'number') return undefined;
  }
  if (!isObject(typeDays) || Object.values(typeDays).some((value) => typeof value !== 'number'))
    return undefined;
  if (!Array.isArray(hold) || !hold.every(isFilter)) return undefined;
  return {
    days: days as number | undefined,
    bytes: bytes as number | undefined,
    records: records as number | undefined,
    typeDays: typeDays as Record<string, number>,
    hold,
  };
}

/** Whether somebody may mean this as a policy: the one that keeps all, or one that can be judged by. */
export function isPolicy(value: unknown): value is Policy {
  return isObject(value) && (value['delete'] === 'never' || termsOf(value) !== undefined);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFilter(value: unknown): value is HoldFilter {
  if (!isObject(value) || Object.keys(value).length === 0) return false;
  return Object.entries(value).every(
    ([name, item]) =>
      dimensions.includes(name as Dimension) &&
      (item === null || typeof item === 'string' || typeof item === 'boolean'),
  );
}

/** A sealed segment, as far as it matters whether it may go. */
export interface SealedSegment {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** When it was sealed, by the book; NaN where that is no time. */
  readonly sealedMs: number;
  /** Of its lines. */
  readonly bytes: number;
  /** Whether its tally has a line of this value. Undefined when there is no tally to be trusted. */
  readonly has: ((dimension: Dimension, value: string | boolean | null) => boolean) | undefined;
}

/** The book when something is deleted. */
export interface Moment {
  readonly nowMs: number;
  /** How far the clock has jumped ahead since that was last confirmed; negative when it was set back. */
  readonly aheadMs: number;
  /** What the log holds, this segment included. */
  readonly bytes: number;
  readonly records: number;
}

/** Whether a policy lets a segment go for this reason. */
export function permits(
  terms: Terms,
  reason: PruneReason,
  segment: SealedSegment,
  moment: Moment,
): boolean {
  const ageMs = moment.nowMs - segment.sealedMs - Math.max(0, moment.aheadMs);
  const trusted = moment.aheadMs < aheadMsMax;
  const old = (days: number): boolean => trusted && ageMs >= days * dayMs;
  const due =
    reason === 'age'
      ? terms.days !== undefined && old(terms.days)
      : reason === 'size'
        ? terms.bytes !== undefined && moment.bytes > terms.bytes
        : terms.records !== undefined && moment.records > terms.records;
  if (!due) return false;
  const { has } = segment;
  for (const [type, days] of Object.entries(terms.typeDays)) {
    if ((has === undefined || has('type', type)) && !old(days)) return false;
  }
  return !terms.hold.some((filter) =>
    Object.entries(filter).every(
      ([dimension, value]) => has === undefined || has(dimension as Dimension, value),
    ),
  );
}

/** Why a segment may go now; undefined when it may not. */
export function reasonToGo(
  terms: Terms,
  segment: SealedSegment,
  moment: Moment,
): PruneReason | undefined {
  return pruneReasons.find((reason) => permits(terms, reason, segment, moment));
}
