/** When a segment is sealed and the next begun, besides at its size. Boundaries are those of UTC; a week begins on Monday. */
export const rotations = ['size', 'hourly', 'daily', 'weekly'] as const;
export type Rotate = (typeof rotations)[number];

/** Why a segment was sealed; `tally` when its tally had as many lines as one should. */
export type SealReason = Rotate | 'tally' | 'demand';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Length of a period and the first boundary behind 1970, which began on a Thursday. */
const periods = {
  hourly: { ms: hourMs, from: 0 },
  daily: { ms: dayMs, from: 0 },
  weekly: { ms: 7 * dayMs, from: 4 * dayMs },
} as const;

/** The end of the hour, day or week that holds `ms`, in milliseconds since 1970; Infinity for `size`. */
export function periodEnd(rotate: Rotate, ms: number): number {
  if (rotate === 'size') return Number.POSITIVE_INFINITY;
  const { ms: length, from } = periods[rotate];
  return (Math.floor((ms - from) / length) + 1) * length + from;
}

/** Whether two times lie in the same period. A clock set back leaves the period too. */
export function samePeriod(rotate: Rotate, a: number, b: number): boolean {
  return periodEnd(rotate, a) === periodEnd(rotate, b);
}
