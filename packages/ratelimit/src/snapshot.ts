import type { Clock } from './clock.js';
import { RateLimitError } from './errors.js';
import type { KeyWords } from './key-words.js';
import type { Limit } from './limit.js';
import type { Meter } from './meter.js';
import { shapeOf } from './meters.js';
import { type LimitRequest, requestOf } from './request.js';

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

/** @throws RateLimitError `bad_snapshot`; nothing has changed then */
export function readSnapshot(
  snapshot: Snapshot,
  limits: readonly Limit[],
  meters: readonly Meter[],
  key: KeyWords,
  clock: Clock,
): void {
  const byShape = checked(snapshot);
  const found = limits.map((limit) =>
    (byShape.get(shapeOf(limit)) ?? []).map((entry) => askedBy(limit, entry)),
  );
  const passedMs = Math.max(0, clock.wall() - snapshot.wallMs);
  const now = clock.now();
  for (const [place, entries] of found.entries()) {
    const meter = meters[place]!;
    if (entries.length === 0) continue;
    const known = new Map(meter.used(now));
    for (const { text, request, used } of entries) {
      // What was used since counts where it is more.
      if ((known.get(text) ?? 0) >= used) continue;
      key.readRequest(request, meter.bits);
      meter.restore(key, used, now, passedMs);
    }
  }
}

function askedBy(
  { name, scope = [] }: Limit,
  [text, used]: readonly [string, number],
): { text: string; request: LimitRequest; used: number } {
  const request = requestOf(scope, text);
  if (request !== undefined) return { text, request, used };
  throw new RateLimitError(
    'bad_snapshot',
    `this is no snapshot of version 1 of a limiter: ${JSON.stringify(text)} is no key of ${JSON.stringify(name)}`,
  );
}

function checked(snapshot: Snapshot): Map<string, readonly (readonly [string, number])[]> {
  const bad = (what: string): RateLimitError =>
    new RateLimitError('bad_snapshot', `this is no snapshot of version 1 of a limiter: ${what}`);
  const { version, wallMs, limits } = Object(snapshot) as Partial<Snapshot>;
  if (version !== 1) throw bad('its version is another');
  if (!Number.isFinite(wallMs)) throw bad('it has no time');
  if (!Array.isArray(limits)) throw bad('it has no limits');
  const byShape = new Map<string, readonly (readonly [string, number])[]>();
  for (const limit of limits as readonly unknown[]) {
    const { shape, used } = Object(limit) as Partial<Snapshot['limits'][number]>;
    if (typeof shape !== 'string' || !Array.isArray(used)) throw bad('a limit is damaged');
    for (const entry of used as readonly unknown[]) {
      const [key, value] = Array.isArray(entry) ? (entry as unknown[]) : [];
      if (typeof key !== 'string' || typeof value !== 'number' || !(value >= 0 && value < 2 ** 53))
        throw bad(`a key of ${shape} is damaged`);
    }
    byShape.set(shape, used);
  }
  return byShape;
}
