import { checkNote, type Note } from './checkpoint.js';
import { quorumTime, type TlogPolicy } from './tlog-policy.js';
import type { Case, Good } from './verify-case.js';
import type { Finding } from './verify-report.js';

/** What the verifier asks of witnesses and anchors, beyond what the log's own key can say. */
export interface Demand {
  /** Which cosignatures a checkpoint must carry. */
  readonly policy?: TlogPolicy | undefined;
  /** Something trusted must have seen the log this recently. */
  readonly maxAgeMs?: number | undefined;
  readonly nowMs: number;
  /** Evidence that was asked for and could not be had, in words. */
  readonly problems: readonly string[];
}

/** The largest tree that the policy's quorum has seen, and the time in ms as of which it had. */
export interface Witnessed {
  readonly size: number;
  /** Absent where the policy asks for no cosignature. */
  readonly timeMs?: number;
}

/** A cosignature may be this far ahead of this host's clock and still count for its freshness. */
const clockSkewMs = 5 * 60_000;

export function findWitnessed(
  facts: Case,
  good: readonly Good[],
): { readonly witnessed: Witnessed | undefined; readonly lacking: readonly Finding[] } {
  const { demand } = facts;
  if (demand === undefined) return { witnessed: undefined, lacking: [] };
  const lacking: Finding[] = demand.problems.map((reason) => ({ kind: 'evidence', reason }));
  const checked = good.filter(
    ({ size, root }) =>
      size > 0 && (facts.reading.roots.get(size) ?? facts.reading.filledRoots.get(size)) === root,
  );
  const { policy, maxAgeMs } = demand;
  const witnessed = policy === undefined ? undefined : largestWitnessed(policy, checked);
  if (policy !== undefined && witnessed === undefined) {
    lacking.push({
      kind: 'evidence',
      reason: 'no checkpoint of this log carries the cosignatures that the policy asks for',
    });
  }
  if (maxAgeMs !== undefined) lacking.push(...findStale(demand, maxAgeMs, checked));
  return { witnessed, lacking };
}

function largestWitnessed(policy: TlogPolicy, checked: readonly Good[]): Witnessed | undefined {
  let best: Witnessed | undefined;
  for (const { size, note } of checked) {
    if (note === undefined || !isByLog(policy, note)) continue;
    const seconds = quorumTime(policy, note);
    if (seconds === Number.NEGATIVE_INFINITY || (best !== undefined && best.size > size)) continue;
    const timeMs = seconds === Number.POSITIVE_INFINITY ? {} : { timeMs: seconds * 1000 };
    if (best?.size === size && (best.timeMs ?? 0) >= (timeMs.timeMs ?? 0)) continue;
    best = { size, ...timeMs };
  }
  return best;
}

/** A policy that lists logs accepts theirs only. */
function isByLog(policy: TlogPolicy, note: Note): boolean {
  return policy.logs.length === 0 || checkNote(note, policy.logs) === 'signed';
}

function findStale(demand: Demand, maxAgeMs: number, checked: readonly Good[]): Finding[] {
  const notAfter = demand.nowMs + clockSkewMs;
  const newest = checked.reduce((latest, good) => {
    const seen = good.seenMs === undefined || good.seenMs > notAfter ? undefined : good.seenMs;
    return Math.max(latest, seen ?? latest, cosignedMs(demand.policy, good, notAfter));
  }, Number.NEGATIVE_INFINITY);
  const ageMs = demand.nowMs - newest;
  if (ageMs <= maxAgeMs) return [];
  const reason =
    newest === Number.NEGATIVE_INFINITY
      ? 'its age is not known: no cosignature of a trusted witness and no anchor says when this log was seen'
      : `this log was last seen by a witness or anchor ${Math.round(ageMs / 1000)} s ago, longer than ${Math.round(maxAgeMs / 1000)} s`;
  return [{ kind: 'evidence', reason }];
}

/** A policy without a quorum says nothing about when. */
function cosignedMs(policy: TlogPolicy | undefined, { note }: Good, notAfterMs: number): number {
  if (policy === undefined || note === undefined || policy.quorum.kind === 'none') {
    return Number.NEGATIVE_INFINITY;
  }
  return quorumTime(policy, note, Math.floor(notAfterMs / 1000)) * 1000;
}
