/** One request that was let in, as its caller saw it; all times in ms of a clock that all callers share. */
export interface GrantRecord {
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly cost: number;
}

export interface Bucket {
  readonly burst: number;
  readonly perMs: number;
}

/** The worst window: how much more was let in than the bucket allows in it. */
export interface Excess {
  readonly fromMs: number;
  readonly toMs: number;
  readonly granted: number;
  readonly allowed: number;
}

/**
 * The window in which most more was granted than `burst + rate × window`, or undefined where there is none.
 *
 * The caller knows when it asked and when it heard; the grant fell somewhere between. So a window `[from, to]` counts only those
 * grants that were asked for and heard inside it: wherever in their brackets they fell, it was in the window, and an excess
 * found this way is one for certain. Nothing is assumed of how fast answers are, so a slow machine cannot fail the check. What it
 * can miss is what was under way at a window's two ends, a few grants beside a burst of hundreds: the suites show that they find a
 * fresh burst in a run like the one that they check.
 *
 * Only windows from an asking to a hearing need a look, since any other shrinks to one of them and loses no grant.
 */
export function findExcess(grants: readonly GrantRecord[], bucket: Bucket): Excess | undefined {
  if (grants.length === 0) return undefined;
  const ends = [...new Set(grants.map(({ receivedMs }) => receivedMs))].sort((a, b) => a - b);
  const placeOf = new Map(ends.map((end, place) => [end, place]));
  const sums = new RangeSums(ends.map((end) => -bucket.perMs * end));
  let worst: Excess | undefined;
  let worstBy = tolerance;
  const latestFirst = [...grants].sort((a, b) => b.sentMs - a.sentMs);
  let first = ends.length;
  for (const [index, { sentMs, receivedMs, cost }] of latestFirst.entries()) {
    while (first > 0 && ends[first - 1]! >= sentMs) first--;
    sums.addFrom(placeOf.get(receivedMs)!, cost);
    if (latestFirst[index + 1]?.sentMs === sentMs) continue;
    const { value, place } = sums.mostFrom(first);
    const by = value + bucket.perMs * sentMs - bucket.burst;
    if (by <= worstBy) continue;
    const toMs = ends[place]!;
    const allowed = bucket.burst + bucket.perMs * (toMs - sentMs);
    worst = { fromMs: sentMs, toMs, granted: allowed + by, allowed };
    worstBy = by;
  }
  return worst;
}

/** What sums of numbers like these may be off by. */
const tolerance = 1e-3;

/**
 * The same for a bucket that was empty at `sinceMs`, as those of a server that came back with nothing must be: from then on there is
 * no burst to grant. Of what was asked for before, nobody knows which server granted it.
 */
export function findExcessSince(
  grants: readonly GrantRecord[],
  { perMs }: Bucket,
  sinceMs: number,
): Excess | undefined {
  const inOrder = grants
    .filter(({ sentMs }) => sentMs >= sinceMs)
    .sort((a, b) => a.receivedMs - b.receivedMs);
  let [granted, worstBy] = [0, tolerance];
  let worst: Excess | undefined;
  for (const { receivedMs, cost } of inOrder) {
    granted += cost;
    const allowed = perMs * (receivedMs - sinceMs);
    if (granted - allowed <= worstBy) continue;
    worstBy = granted - allowed;
    worst = { fromMs: sinceMs, toMs: receivedMs, granted, allowed };
  }
  return worst;
}

/** Numbers to all of which, from a place on, something is added, and of which the greatest from a place on is asked for: each in log n. */
class RangeSums {
  readonly #size: number;
  /** The greatest below a node, without what was added to the nodes above it. */
  readonly #most: Float64Array;
  readonly #added: Float64Array;

  constructor(values: readonly number[]) {
    this.#size = 2 ** Math.ceil(Math.log2(Math.max(1, values.length)));
    this.#most = new Float64Array(2 * this.#size).fill(Number.NEGATIVE_INFINITY);
    this.#added = new Float64Array(2 * this.#size);
    this.#most.set(values, this.#size);
    for (let node = this.#size - 1; node >= 1; node--) this.#sum(node);
  }

  addFrom(place: number, value: number): void {
    let node = place + this.#size;
    this.#add(node, value);
    for (; node > 1; node >>= 1) {
      if (node % 2 === 0) this.#add(node + 1, value);
      this.#sum(node >> 1);
    }
  }

  /** The greatest from a place on. */
  mostFrom(first: number): { value: number; place: number } {
    let node = first + this.#size;
    let [best, value] = [node, this.#most[node]!];
    for (; node > 1; node >>= 1) {
      if (node % 2 === 0 && this.#most[node + 1]! > value) {
        best = node + 1;
        value = this.#most[best]!;
      }
      value += this.#added[node >> 1]!;
    }
    while (best < this.#size) {
      best *= 2;
      if (this.#most[best + 1]! > this.#most[best]!) best++;
    }
    return { value, place: best - this.#size };
  }

  #add(node: number, value: number): void {
    this.#most[node]! += value;
    this.#added[node]! += value;
  }

  #sum(node: number): void {
    const below = Math.max(this.#most[2 * node]!, this.#most[2 * node + 1]!);
    this.#most[node] = below + this.#added[node]!;
  }
}

/** A time in which a server answered, without interruption. */
export interface Life {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * What was granted, as a share of `rate × the time the server was up`. A life counts from its first grant on, since a server
 * that lost everything starts with empty buckets.
 */
export function shareOfRate(
  grants: readonly GrantRecord[],
  bucket: Bucket,
  lives: readonly Life[],
): number {
  let upMs = 0;
  let granted = 0;
  for (const { fromMs, toMs } of lives) {
    const inside = grants.filter((each) => each.sentMs >= fromMs && each.receivedMs <= toMs);
    if (inside.length === 0) {
      upMs += toMs - fromMs;
      continue;
    }
    const first = inside.reduce((least, each) => Math.min(least, each.receivedMs), toMs);
    upMs += toMs - first;
    granted += inside.reduce((sum, { cost }) => sum + cost, 0);
  }
  return upMs === 0 ? 0 : granted / (bucket.perMs * upMs);
}
