import { randomInt } from 'node:crypto';

/** Numbers that a seed gives again. */
export interface Random {
  readonly seed: number;
  /** From 0 up to, not including, 1. */
  float(): number;
  /** From 0 up to, not including, `below`. */
  int(below: number): number;
  pick<T>(from: readonly T[]): T;
}

/** A seed from GATEBOOK_SEED, or a new one; the caller prints it. */
export function newSeed(): number {
  const given = process.env['GATEBOOK_SEED'];
  return given === undefined ? randomInt(2 ** 32) : Number(given) >>> 0;
}

/** mulberry32: 32 bits of state, good enough to choose tests with. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const float = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(float() * below);
  return {
    seed,
    float,
    int,
    pick: (from) => {
      const picked = from[int(from.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
  };
}

export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const after = [...items];
  for (let i = after.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [after[i], after[j]] = [after[j]!, after[i]!];
  }
  return after;
}
