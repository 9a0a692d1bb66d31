import { isDeepStrictEqual } from 'node:util';
import { msOfSpan } from '../span.js';

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

/** Of what is counted until something is refused; where nothing is said, nothing is refused. */
export const whenMore: Weakens = {
  words: 'when raised',
  test: (value, held) => held !== undefined && !(Number(value) <= Number(held)),
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

/** Of a time after which something is done or refused; where none is said, that never comes. */
export const whenLonger: Weakens = {
  words: 'when longer',
  test: (value, held) => held !== undefined && !(msOfSpan(String(value)) <= msOfSpan(String(held))),
};

/** Of words from the strictest to the weakest. */
export const whenLater = (words: string, order: readonly string[]): Weakens => ({
  words,
  test: (value, held) => order.indexOf(String(value)) > order.indexOf(String(held)),
});

/** Of the risk from which on something is asked or denied. */
export const whenHigher = whenLater('when higher', ['low', 'medium', 'high', 'critical']);

/** Of a list of what is refused. */
export const whenEntriesLess: Weakens = {
  words: 'when an entry that holds is left out',
  test: (value, held) => !listOf(held).every((entry) => listOf(value).includes(entry)),
};

/** Of a list of what is allowed. */
export const whenEntriesMore: Weakens = {
  words: 'when an entry is added',
  test: (value, held) => !listOf(value).every((entry) => listOf(held).includes(entry)),
};

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Of a table. */
export const whenNotAll: Weakens = {
  words: 'when an entry that holds is changed or left out',
  test: (value, held) =>
    Object.entries((held ?? {}) as object).some(
      ([name, entry]) => !isDeepStrictEqual((value as Record<string, unknown>)[name], entry),
    ),
};
