import { isDeepStrictEqual } from 'node:util';

/**
 * Which values let more happen, or less be seen, than what would hold without them. Such a value of a project file, which the
 * agent itself may have written, counts only when the file is trusted.
 */
export interface Weakens {
  /** To stand behind "needs trust". */
  readonly words: string;
  readonly test: (value: unknown, held: unknown) => boolean;
}

/** Nobody can say which value of it is the stricter one. */
export const always: Weakens = {
  words: 'always',
  test: (value, held) => !isDeepStrictEqual(value, held),
};

export const whenFalse: Weakens = {
  words: 'when false',
  test: (value, held) => value === false && held !== false,
};

export const whenTrue: Weakens = {
  words: 'when true',
  test: (value, held) => value === true && held !== true,
};

/** Of what is counted until something is refused. */
export const whenMore: Weakens = {
  words: 'when raised',
  test: (value, held) => !(Number(value) <= Number(held)),
};

/** Of what is counted until something is deleted; where nothing is said, nothing is deleted. */
export const whenLess: Weakens = {
  words: 'when less, or not set before',
  test: (value, held) => !(Number(value) >= Number(held)),
};

export const whenValue = (weak: string): Weakens => ({
  words: `when \`${weak}\``,
  test: (value, held) => value === weak && held !== weak,
});

export const whenLonger: Weakens = {
  words: 'when longer',
  test: (value, held) => !(msOf(value) <= msOf(held)),
};

/** Of a table. */
export const whenNotAll: Weakens = {
  words: 'when an entry that holds is changed or left out',
  test: (value, held) =>
    Object.entries((held ?? {}) as object).some(
      ([name, entry]) => !isDeepStrictEqual((value as Record<string, unknown>)[name], entry),
    ),
};

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function msOf(span: unknown): number {
  const [, count, unit = ''] = /^(\d+)([a-z]+)$/.exec(String(span)) ?? [];
  return Number(count) * (unitMs[unit] ?? Number.NaN);
}
