import { type Argument, hole } from './word.js';

export interface AfterOptions {
  /** The options before the first other word, with the value each one took. */
  options: { name: string; value: Argument | undefined }[];
  /** What begins with the first word that is no option and no option's value. */
  rest: Argument[];
}

/**
 * Tells the options at the head of a command's words from the words after them.
 *
 * @param valued the options that take the next word as their value.
 */
export function afterOptions(
  words: readonly Argument[],
  valued: ReadonlySet<string>,
): AfterOptions {
  const options: AfterOptions['options'] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word.value === '--') {
      at++;
      break;
    }
    if (!/^[-+]./.test(word.value)) break;
    const equals = word.value.startsWith('--') ? word.value.indexOf('=') : -1;
    if (equals > 0) {
      const value = { ...word, value: word.value.slice(equals + 1) };
      options.push({ name: word.value.slice(0, equals), value });
    } else if (takesNext(word.value, valued)) {
      options.push({ name: lastOption(word.value), value: words[++at] });
    } else {
      options.push(...attached(word, valued));
    }
  }
  return { options, rest: words.slice(at) };
}

function takesNext(option: string, valued: ReadonlySet<string>): boolean {
  if (valued.has(option)) return true;
  if (option.startsWith('--') || option.length < 3 || option.includes(hole)) return false;
  // In `-nu root` it is the last letter that takes a word; in `-uroot` the first one has its own.
  const letters = [...option.slice(1)].map((letter) => `-${letter}`);
  return letters.findIndex((letter) => valued.has(letter)) === letters.length - 1;
}

function lastOption(option: string): string {
  return option.startsWith('--') || option.length < 3 ? option : `-${option.at(-1)}`;
}

/** `-uroot` is `-u` with `root`; `-xe` is `-xe`, and `-x` and `-e`. */
function attached(word: Argument, valued: ReadonlySet<string>): AfterOptions['options'] {
  const option = word.value;
  if (option.startsWith('--') || option.length < 3) return [{ name: option, value: undefined }];
  const first = option.slice(0, 2);
  if (valued.has(first)) return [{ name: first, value: { ...word, value: option.slice(2) } }];
  const letters = [...option.slice(1)].map((letter) => ({ name: `-${letter}`, value: undefined }));
  return [{ name: option, value: undefined }, ...letters];
}

export function setOf(list: string | undefined): ReadonlySet<string> {
  return new Set(list === undefined || list === '' ? [] : list.split(' '));
}
