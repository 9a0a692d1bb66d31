import type { Clock } from './clock.js';
import { RateLimitError } from './errors.js';
import type { Limit } from './limit.js';
import type { Meter } from './meter.js';
import { shapeOf } from './meters.js';

/** What was used of each limit's keys, at a time; plain data that JSON can hold. */
export interface Snapshot {
  readonly version: 1;
  /** Ms since 1970. */
  readonly wallMs: number;
  readonly limits: readonly {
    /** The limit's name, kind, scope and period. */
    readonly shape: string;
    readonly used: readonly (readonly [key: string, used: number])[];
  }[];
}

export function takeSnapshot(
  limits: readonly Limit[],
  meters: readonly Meter[],
  clock: Clock,
): Snapshot {
  const now = clock.now();
  return {
    version: 1,
    wallMs: clock.wall(),
    limits: limits.map((limit, place) => ({
      shape: shapeOf(limit),
      used: [...meters[place]!.used(now)],
    })),
  };
}

/** @throws RateLimitError `bad_snapshot` */
export function readSnapshot(
  snapshot: Snapshot,
  limits: readonly Limit[],
  meters: readonly Meter[],
  clock: Clock,
): void {
  if (
    snapshot.version !== 1 ||
    !Number.isFinite(snapshot.wallMs) ||
    !Array.isArray(snapshot.limits)
  )
    throw new RateLimitError('bad_snapshot', 'this is no snapshot of version 1 of a limiter');
  const passedMs = Math.max(0, clock.wall() - snapshot.wallMs);
  const byShape = new Map(snapshot.limits.map(({ shape, used }) => [shape, used]));
  for (const [place, limit] of limits.entries()) {
    const meter = meters[place]!;
    for (const [key, used] of byShape.get(shapeOf(limit)) ?? []) {
      if (typeof key !== 'string' || !(used >= 0 && used < Number.POSITIVE_INFINITY)) {
        throw new RateLimitError(
          'bad_snapshot',
          `the snapshot of ${JSON.stringify(limit.name)} is damaged`,
        );
      }
      meter.restore(key, used, clock.now(), passedMs);
    }
  }
}
