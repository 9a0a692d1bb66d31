import { type LimitRequest, requestOf } from '@gatebook/ratelimit';
import { type LimitSpec, mostOf } from '../../limits.js';
import type { SharedLimits } from './shared-limits.js';

/** One bucket of which something is used. */
export interface BucketView {
  /** Whose it is: the members of the limit's scope. */
  readonly key: LimitRequest;
  readonly used: number;
  readonly left: number;
  /** When it is full again if nobody takes from it; undefined where that is not by time alone, or the calendar's business. */
  readonly fullInMs?: number | undefined;
}

export interface LimitView {
  readonly spec: LimitSpec;
  /** How many a full bucket holds. */
  readonly burst: number;
  /** Those that are not full, the emptiest first. */
  readonly buckets: readonly BucketView[];
  /** How many there are, of which the view may hold fewer. */
  readonly bucketsCount: number;
}

export interface BucketsView {
  readonly limits: readonly LimitView[];
}

/** Of all limits together. */
export const bucketsShownMax = 1_000;

export function bucketsView(limits: SharedLimits): BucketsView {
  const all = limits.buckets();
  const each = Math.max(1, Math.floor(bucketsShownMax / Math.max(1, all.length)));
  return {
    limits: all.map(({ spec, used }) => {
      const { rate, scope = [] } = spec;
      const burst = mostOf(spec);
      const emptiest = [...used].sort(([, a], [, b]) => b - a).slice(0, each);
      const buckets = emptiest.map(([key, amount]) => ({
        key: shortened(requestOf(scope, key) ?? {}),
        used: amount,
        left: Math.max(0, burst - amount),
        ...(rate === undefined ? {} : { fullInMs: Math.ceil((amount * rate.perMs) / rate.count) }),
      }));
      return { spec, burst, buckets, bucketsCount: used.length };
    }),
  };
}

const keyCharsMax = 256;

function shortened({ actor, channel, session, tool }: LimitRequest): LimitRequest {
  const members = Object.entries({ actor, channel, session, tool });
  return Object.fromEntries(
    members.flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value.slice(0, keyCharsMax).toWellFormed()]],
    ),
  );
}
