import { BucketMeter } from './bucket-meter.js';
import { CalendarMeter } from './calendar-meter.js';
import type { Clock } from './clock.js';
import { ConcurrencyMeter } from './concurrency-meter.js';
import { RateLimitError } from './errors.js';
import { checkLimit, type Limit } from './limit.js';
import type { Meter } from './meter.js';
import type { Order } from './order.js';
import { RollingMeter } from './rolling-meter.js';

/** @throws RateLimitError `bad_limit`, `duplicate_limit` */
export function checkLimits(limits: readonly Limit[]): void {
  const names = new Set<string>();
  for (const limit of limits) {
    checkLimit(limit);
    if (names.has(limit.name)) {
      throw new RateLimitError(
        'duplicate_limit',
        `two limits are named ${JSON.stringify(limit.name)}; give each a name of its own`,
      );
    }
    names.add(limit.name);
  }
}

/** What the keys and numbers of a limit mean: where it differs, nothing can be inherited. */
export function shapeOf({ kind = 'rate', name, scope = [], ...limit }: Limit): string {
  return JSON.stringify([kind, name, scope, 'period' in limit ? limit.period : null]);
}

export function meterOf(limit: Limit, clock: Clock, order: Order): Meter {
  if (limit.kind === 'concurrency') return new ConcurrencyMeter(limit);
  if (limit.kind !== 'quota') return new BucketMeter(limit, clock.now(), order);
  const { period } = limit;
  return 'rollingMs' in period
    ? new RollingMeter({ ...limit, period })
    : new CalendarMeter({ ...limit, period }, clock.wall);
}
