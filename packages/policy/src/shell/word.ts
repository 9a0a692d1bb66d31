import type { ParameterExpansionPart, Word, WordPart } from 'unbash';

/** Stands in a value for what only the running shell knows. */
export const hole = '\uFFFD';

/** A word of a command, as far as it is known before the shell runs. */
export interface Argument {
  /** As it was written. */
  text: string;
  /** What the shell makes of it: quotes gone, `$HOME` as `~`, and a {@link hole} for every part that is not known. */
  value: string;
  /** True when the value has no hole. */
  known: boolean;
  /** True when it holds an unquoted `*`, `?` or `[`. */
  pattern: boolean;
  /** True when it is a brace expansion. */
  braces: boolean;
  /** True when a command's output is a part of it. */
  runs: boolean;
  /** The variables in it. */
  variables: string[];
}

/** At most so many words come from one word with braces; more are one hole. */
const wordsPerBrace = 32;

export function literal(value: string): Argument {
  return {
    text: value,
    value,
    known: !value.includes(hole),
    pattern: false,
    braces: false,
    runs: false,
    variables: [],
  };
}

export const unknownArgument: Argument = { ...literal(hole), text: '…' };

/** The words that the shell makes of one: more than one where braces are expanded. */
export function toArguments(word: Word, values: ReadonlyMap<string, string>): Argument[] {
  const parts = word.parts;
  if (parts === undefined) return [plain(word)];
  const draft: Draft = { values: [''], pattern: false, braces: false, runs: false, variables: [] };
  for (const part of parts) addPart(draft, part, values);
  return draft.values.map((value) => ({
    text: word.text,
    value,
    known: !value.includes(hole),
    pattern: draft.pattern,
    braces: draft.braces,
    runs: draft.runs,
    variables: draft.variables,
  }));
}

/** One argument, whatever its braces: for places where the shell expands none. */
export function toArgument(word: Word, values: ReadonlyMap<string, string>): Argument {
  const all = toArguments(word, values);
  if (all.length === 1) return all[0]!;
  return { ...all[0]!, value: hole, known: false };
}

function plain(word: Word): Argument {
  return { ...literal(word.value), text: word.text };
}

interface Draft {
  values: string[];
  pattern: boolean;
  braces: boolean;
  runs: boolean;
  variables: string[];
}

function append(draft: Draft, text: string): void {
  draft.values = draft.values.map((value) => value + text);
}

function addPart(draft: Draft, part: WordPart, values: ReadonlyMap<string, string>): void {
  switch (part.type) {
    case 'Literal':
    case 'SingleQuoted':
    case 'AnsiCQuoted':
      append(draft, part.value);
      break;
    case 'Glob':
    case 'ExtendedGlob':
      draft.pattern = true;
      append(draft, part.type === 'Glob' ? part.text : '*');
      break;
    case 'DoubleQuoted':
    case 'LocaleString':
      for (const inner of part.parts) addPart(draft, inner, values);
      break;
    case 'SimpleExpansion':
      addVariable(draft, part.text.slice(1), values);
      break;
    case 'ParameterExpansion':
      addParameter(draft, part, values);
      break;
    case 'BraceExpansion':
      draft.braces = true;
      addBraces(draft, part.text);
      break;
    case 'CommandExpansion':
    case 'ProcessSubstitution':
      addCommandOutput(draft, part.text);
      break;
    default:
      append(draft, hole);
  }
}

/** `$(pwd)` is where the command runs; what others print is not known. */
function addCommandOutput(draft: Draft, text: string): void {
  if (/^(\$\(\s*pwd\s*\)|`pwd`)$/.test(text)) {
    append(draft, '.');
  } else {
    draft.runs = true;
    append(draft, hole);
  }
}

function addParameter(
  draft: Draft,
  part: ParameterExpansionPart,
  values: ReadonlyMap<string, string>,
): void {
  const { operation, prefix, index, parameter } = part;
  if (operation === undefined && prefix === undefined && index === undefined) {
    addVariable(draft, parameter, values);
  } else {
    draft.variables.push(parameter);
    append(draft, hole);
  }
}

function addVariable(draft: Draft, name: string, values: ReadonlyMap<string, string>): void {
  draft.variables.push(name);
  append(draft, values.get(name) ?? wellKnown.get(name) ?? hole);
}

const wellKnown: ReadonlyMap<string, string> = new Map([
  ['HOME', '~'],
  ['PWD', '.'],
  ['TMPDIR', '/tmp'],
]);

function addBraces(draft: Draft, text: string): void {
  const choices = braceChoices(text);
  const count = choices === undefined ? 1 : choices.length * draft.values.length;
  if (choices === undefined) append(draft, hole);
  else if (count > wordsPerBrace) draft.values = [hole];
  else draft.values = draft.values.flatMap((value) => choices.map((choice) => value + choice));
}

/** What stands between the commas of `{a,b}`; nothing for what is nested, quoted with care, or a range. */
function braceChoices(text: string): string[] | undefined {
  const inner = text.slice(1, -1);
  if (/[{}$`]/.test(inner) || !inner.includes(',')) return undefined;
  return inner.split(',').map((choice) => choice.replace(/["'\\]/g, ''));
}
