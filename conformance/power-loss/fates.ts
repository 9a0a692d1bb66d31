import type { Random } from '../crash/random.js';
import type { Pending } from './disk.js';
import { block, type Fate, type Fates } from './states.js';

/** How many states are made of one crash point. */
export interface Bounds {
  /** So many unsynced changes or fewer are combined in every way; more are dropped and kept one at a time. */
  readonly exhaustive: number;
  /** The newest changes of derived files (tiles) that are dropped and kept one at a time; all of the others are. */
  readonly derived: number;
  /** Cuts tried of one write. */
  readonly cuts: number;
  /** Random combinations besides. */
  readonly random: number;
}

/** The fates of the unsynced changes at a crash point, most telling first: all kept, all dropped, single ones, cuts, random. */
export function* fatesOf(
  pending: readonly Pending[],
  bounds: Bounds,
  random: Random,
): Generator<Fates> {
  yield () => 'kept';
  if (pending.length === 0) return;
  yield () => 'dropped';
  if (pending.length <= bounds.exhaustive) {
    for (let bits = 1; bits < 2 ** pending.length - 1; bits++) {
      const kept = new Set(pending.filter((_, i) => bits & (1 << i)).map(({ id }) => id));
      yield ({ id }) => (kept.has(id) ? 'kept' : 'dropped');
    }
  } else {
    const derived = pending.filter(({ path }) => path.includes('/tile'));
    const recent = new Set(derived.slice(-bounds.derived));
    for (const one of pending) {
      if (one.path.includes('/tile') && !recent.has(one)) continue;
      yield ({ id }) => (id === one.id ? 'dropped' : 'kept');
      yield ({ id }) => (id === one.id ? 'kept' : 'dropped');
    }
  }
  yield* cutFates(pending, bounds);
  for (let i = 0; i < bounds.random; i++) yield randomFates(pending, random);
}

function* cutFates(pending: readonly Pending[], bounds: Bounds): Generator<Fates> {
  for (const one of pending) {
    for (const cut of cutsOf(one, bounds.cuts)) {
      for (const behind of behinds) {
        // What came before the write is kept; what came behind it once is and once is not.
        yield ({ id }) => (id === one.id ? { cut, behind } : 'kept');
        yield ({ id }) => (id === one.id ? { cut, behind } : id < one.id ? 'kept' : 'dropped');
      }
    }
  }
}

const behinds = ['end', 'zeros', 'hole'] as const;

/** Where a write may be cut: the file's 512-byte boundaries inside it and its beginning, thinned out to `most`. */
function cutsOf({ change }: Pending, most: number): number[] {
  if (change.kind !== 'write') return [];
  const cuts = [0];
  for (let cut = block - (change.at % block); cut < change.bytes.length; cut += block)
    cuts.push(cut);
  const step = Math.ceil(cuts.length / most);
  return cuts.filter((_, i) => i % step === 0 || i === cuts.length - 1);
}

function randomFates(pending: readonly Pending[], random: Random): Fates {
  const keep = random.float();
  const fates = new Map<number, Fate>();
  for (const one of pending) {
    const cuts = cutsOf(one, Number.POSITIVE_INFINITY);
    const cut = cuts.length === 0 || random.float() < 0.7 ? undefined : random.pick(cuts);
    const kept: Fate = cut === undefined ? 'kept' : { cut, behind: random.pick(behinds) };
    fates.set(one.id, random.float() < keep ? kept : 'dropped');
  }
  return ({ id }) => fates.get(id) ?? 'kept';
}
