import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Bucket,
  findExcess,
  findExcessSince,
  type GrantRecord,
  shareOfRate,
} from './grants.js';

const bucket: Bucket = { burst: 5, perMs: 0.01 };

/** A grant that was asked for at once, and heard of so much later. */
function at(sentMs: number, tookMs = 0, cost = 1): GrantRecord {
  return { sentMs, receivedMs: sentMs + tookMs, cost };
}

/** The worst excess by looking at every window. */
function worstByHand(grants: readonly GrantRecord[], { burst, perMs }: Bucket): number {
  let worst = Number.NEGATIVE_INFINITY;
  for (const { sentMs: from } of grants) {
    for (const { receivedMs: to } of grants) {
      const inside = grants.filter((each) => each.sentMs >= from && each.receivedMs <= to);
      const granted = inside.reduce((sum, { cost }) => sum + cost, 0);
      if (inside.length > 0) worst = Math.max(worst, granted - burst - perMs * (to - from));
    }
  }
  return worst;
}

/** What a bucket that is always asked grants, from its start on. */
function steady(fromMs: number, toMs: number, tookMs: number, full: boolean): GrantRecord[] {
  const grants = Array.from({ length: full ? bucket.burst : 0 }, () => at(fromMs, tookMs));
  for (let ms = fromMs + 100; ms <= toMs; ms += 100) grants.push(at(ms, tookMs));
  return grants;
}

describe('the check of recorded grants', () => {
  test('finds nothing in none, nor in what a bucket grants', () => {
    expect(findExcess([], bucket)).toBe(undefined);
    expect(findExcess(steady(0, 10_000, 0, true), bucket)).toBe(undefined);
  });

  test('finds one more than the burst at once', () => {
    expect(
      findExcess(
        Array.from({ length: 6 }, () => at(100)),
        bucket,
      ),
    ).toEqual({
      fromMs: 100,
      toMs: 100,
      granted: 6,
      allowed: 5,
    });
  });

  test('finds one more than the rate over a long time', () => {
    const grants = [...steady(0, 60_000, 0, true), at(60_000)];
    expect(findExcess(grants, bucket)).toMatchObject({ fromMs: 0, toMs: 60_000, granted: 606 });
  });

  test('finds the fresh burst of a server that came back', () => {
    const before = steady(0, 3_000, 2, true);
    const empty = steady(3_100, 6_000, 2, false);
    const fresh = steady(3_100, 6_000, 2, true);
    expect(findExcess([...before, ...empty], bucket)).toBe(undefined);
    const excess = findExcess([...before, ...fresh], bucket);
    expect(excess?.granted).toBeGreaterThan(excess!.allowed + 3);
  });

  test('weighs what grants cost', () => {
    expect(findExcess([at(0, 0, 2.5), at(0, 0, 2.5)], bucket)).toBe(undefined);
    expect(findExcess([at(0, 0, 2.5), at(0, 0, 2.6)], bucket)).toBeDefined();
  });

  test('accuses nobody of answers that took long', () => {
    // All were granted in time, but heard of together.
    const late = steady(0, 10_000, 0, true).map(({ sentMs, cost }) => ({
      sentMs,
      receivedMs: 10_000,
      cost,
    }));
    expect(findExcess(late, bucket)).toBe(undefined);
    // All were asked together, and granted in time.
    const early = steady(0, 10_000, 0, true).map(({ receivedMs, cost }) => ({
      sentMs: 0,
      receivedMs,
      cost,
    }));
    expect(findExcess(early, bucket)).toBe(undefined);
  });

  test('accuses nobody, however grants fall into their brackets', () => {
    const grants = fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { maxLength: 100 });
    fc.assert(
      fc.property(grants, fc.nat(1_000), (brackets, fromMs) => {
        const truth = steady(fromMs, fromMs + 5_000, 0, true);
        const seen = truth.map(({ sentMs }, place) => {
          const [before, after] = brackets[place] ?? [0, 0];
          return { sentMs: sentMs - before, receivedMs: sentMs + after, cost: 1 };
        });
        expect(findExcess(seen, bucket)).toBe(undefined);
      }),
    );
  });

  test('finds the same window as looking at all of them', () => {
    const grant = fc.record({
      sentMs: fc.nat(1_000),
      tookMs: fc.nat(100),
      cost: fc.constantFrom(0.5, 1, 3),
    });
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 60 }), (made) => {
        const grants = made.map(({ sentMs, tookMs, cost }) => at(sentMs, tookMs, cost));
        const excess = findExcess(grants, bucket);
        const worst = worstByHand(grants, bucket);
        if (excess === undefined) expect(worst).toBeLessThanOrEqual(1e-3);
        else expect(excess.granted - excess.allowed).toBeCloseTo(worst, 6);
      }),
    );
  });

  test('takes a hundred thousand in a second or two', () => {
    const grants = Array.from({ length: 100_000 }, (_, place) => at(place * 100, 7));
    const begun = performance.now();
    expect(findExcess(grants, bucket)).toBe(undefined);
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});

describe('the check of a bucket that was empty', () => {
  test('finds nothing in what came back since', () => {
    expect(findExcessSince(steady(0, 10_000, 3, false), bucket, 0)).toBe(undefined);
    expect(findExcessSince([], bucket, 0)).toBe(undefined);
  });

  test('finds any burst, at its end', () => {
    expect(findExcessSince(steady(0, 10_000, 0, true), bucket, 0)).toEqual({
      fromMs: 0,
      toMs: 0,
      granted: 5,
      allowed: 0,
    });
    const one = [...steady(0, 1_000, 1, false), at(500), at(501)];
    expect(findExcessSince(one, bucket, 0)).toMatchObject({ toMs: 501, granted: 7 });
  });

  test('leaves out what was asked for before', () => {
    const grants = [at(-1, 3), at(-2, 600), ...steady(0, 1_000, 1, false)];
    expect(findExcessSince(grants, bucket, 0)).toBe(undefined);
    expect(findExcessSince(grants, bucket, -2)).toBeDefined();
  });
});

describe('the share of the rate', () => {
  const life = { fromMs: 0, toMs: 10_000 };

  test('is one where all came back that could', () => {
    expect(shareOfRate(steady(0, 10_000, 0, false), bucket, [life])).toBeCloseTo(1, 1);
  });

  test('is a half where half of it was used', () => {
    const grants = steady(0, 10_000, 0, false).filter((_, place) => place % 2 === 0);
    expect(shareOfRate(grants, bucket, [life])).toBeCloseTo(0.5, 1);
  });

  test('counts a life from its first grant on, and a life without any as wholly lost', () => {
    const grants = steady(5_000, 10_000, 0, false);
    expect(shareOfRate(grants, bucket, [life])).toBeCloseTo(1, 1);
    const lost = { fromMs: 20_000, toMs: 25_000 };
    expect(shareOfRate(grants, bucket, [life, lost])).toBeCloseTo(0.5, 1);
  });

  test('counts nothing that was not granted by a server that was up', () => {
    expect(shareOfRate(steady(0, 10_000, 0, false), bucket, [])).toBe(0);
  });
});
