import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitView } from '../gate/state/buckets-view.js';
import type { LimitSpec, Quota } from '../limits.js';
import { writeStdout } from './destination.js';
import { usageError } from './failure.js';
import { type Seen, seen } from './operator.js';
import type { Places } from './places.js';
import { plainTable } from './plain-table.js';

export interface LimitsShowOptions {
  readonly json: boolean;
  readonly watch: boolean;
}

const everyMs = 1_000;
const home = '\x1b[H\x1b[2J';

/** `gatebook limits`: what is used of the limits that the gates over this log share, and which sessions are stopped. */
export async function showLimits(
  places: Places,
  { json, watch }: LimitsShowOptions,
): Promise<number> {
  const terminal = process.stdout.isTTY === true;
  if (watch && !terminal && !json) {
    throw usageError('--watch redraws a terminal, but stdout is none; use --json for lines');
  }
  for (;;) {
    const found = await seen(places, 'limits', {});
    const text = json ? `${JSON.stringify(jsonOf(found))}\n` : textOf(found);
    await writeStdout(watch && !json ? `${home}${text}` : text);
    if (!watch) return 0;
    await sleep(everyMs);
  }
}

function jsonOf({ kept, answer: view, atMs }: Seen<'limits'>): unknown {
  return {
    kept,
    at: new Date().toISOString(),
    unknown_since: atMs === undefined ? undefined : new Date(atMs).toISOString(),
    limits: view?.limits.map(limitJson) ?? [],
    stopped:
      view?.stopped.map(({ session, why, retryAfterMs }) => ({
        session,
        why,
        retry_after_ms: retryAfterMs === undefined ? undefined : Math.round(retryAfterMs),
      })) ?? [],
    stopped_count: view?.stoppedCount ?? 0,
  };
}

function limitJson({ spec, burst, buckets, bucketsCount }: LimitView): unknown {
  const { name, rate, inFlight, quota, scope = [], tool, shadow = false } = spec;
  return {
    name,
    rate: rate === undefined ? undefined : { count: rate.count, per_ms: rate.perMs },
    in_flight: inFlight,
    quota: quota === undefined ? undefined : quotaJson(quota),
    burst,
    scope,
    tool,
    shadow,
    buckets: buckets.map(({ key, used, left, fullInMs }) => ({
      key,
      used: rounded(used),
      left: rounded(left),
      full_in_ms: fullInMs,
    })),
    buckets_count: bucketsCount,
  };
}

function quotaJson({ max, period }: Quota): unknown {
  return 'rollingMs' in period ? { max, rolling_ms: period.rollingMs } : { max, ...period };
}

function textOf({ kept, answer: view, atMs }: Seen<'limits'>): string {
  if (kept === 'nothing') return 'no gate has used a limit over this log\n';
  if (kept === 'unknown') {
    const at = new Date(atMs ?? 0).toISOString();
    return `the process that held the buckets ended without a word at about ${at}; they count as empty then\n`;
  }
  const { limits = [], stopped = [], stoppedCount = 0 } = view ?? {};
  const header = ['LIMIT', 'RATE', 'KEY', 'USED', 'LEFT', 'BURST', 'FULL IN'];
  const head = kept === 'written' ? 'no gate runs; this is what the last one left\n' : '';
  const table =
    limits.length === 0
      ? 'no limit is in use\n'
      : plainTable([header, ...limits.flatMap(limitRows)]);
  if (stoppedCount === 0) return `${head}${table}`;
  const rows = stopped.map(({ session, why, retryAfterMs }) => [
    session,
    why,
    retryAfterMs === undefined ? 'until it is reset' : longText(retryAfterMs),
  ]);
  return `${head}${table}\n${plainTable([['STOPPED SESSION', 'WHY', 'FOR'], ...rows])}`;
}

function limitRows({ spec, burst, buckets, bucketsCount }: LimitView): string[][] {
  const { name, shadow } = spec;
  const limit = shadow === true ? `${name} (shadow)` : name;
  const ofLimit = [limit, kindText(spec)];
  if (buckets.length === 0) return [[...ofLimit, '-', '0', String(burst), String(burst), 'now']];
  const rows = buckets.map(({ key, used, left, fullInMs }) => [
    ...[...ofLimit, keyText(key), String(rounded(used)), String(rounded(left))],
    ...[String(burst), fullInMs === undefined ? fullText(spec) : longText(fullInMs)],
  ]);
  const more = bucketsCount - buckets.length;
  return more === 0 ? rows : [...rows, [...ofLimit, `and ${more} more`, '', '', '', '']];
}

function kindText({ rate, inFlight, quota }: LimitSpec): string {
  if (inFlight !== undefined) return `${inFlight} in flight`;
  if (quota === undefined) return `${rate?.count ?? 0} in ${longText(rate?.perMs ?? 0)}`;
  const { max, period } = quota;
  if ('rollingMs' in period) return `${max} in any ${longText(period.rollingMs)}`;
  const zone = period.zone === undefined ? '' : ` of ${period.zone}`;
  return `${max} a calendar ${period.calendar}${zone}`;
}

function fullText({ inFlight, quota }: LimitSpec): string {
  if (inFlight !== undefined) return 'as calls end';
  return quota !== undefined && 'calendar' in quota.period ? `next ${quota.period.calendar}` : '-';
}

function keyText(key: LimitView['buckets'][number]['key']): string {
  const text = Object.entries(key).map(([member, value]) => `${member}=${String(value)}`);
  return text.length === 0 ? '-' : text.join(' ');
}

const units: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** In the greatest unit of which there are two, rounded up. */
function longText(ms: number): string {
  const [unit, name] = units.find(([each]) => ms >= 2 * each) ?? [1_000, 's'];
  return `${Math.ceil(ms / unit)} ${name}`;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
