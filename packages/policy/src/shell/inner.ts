import type { SimpleCommand } from './command.js';
import { programName } from './program-name.js';
import { type Argument, unknownArgument } from './word.js';
import { type AfterOptions, afterOptions, setOf } from './words-before.js';
import { type Wrapper, wrappers } from './wrappers.js';

/** What a command starts besides itself. */
export interface Inner {
  /** The words of commands. */
  commands: Argument[][];
  /** Texts that a shell will read. */
  scripts: Argument[];
}

const byProgram = new Map<string, { wrapper: Wrapper; valued: ReadonlySet<string> }[]>();
for (const wrapper of wrappers) {
  for (const program of wrapper.programs.split(' ')) {
    const known = byProgram.get(program) ?? [];
    known.push({
      wrapper,
      valued: setOf(`${wrapper.valued ?? ''} ${wrapper.scripts ?? ''}`.trim()),
    });
    byProgram.set(program, known);
  }
}

export const shells: ReadonlySet<string> = new Set(
  'sh bash dash zsh ksh mksh ash fish tcsh csh rbash lksh yash posh'.split(' '),
);

/** The commands and scripts among the words of a command, for all programs but shells. */
export function innerOf(command: SimpleCommand): Inner {
  const [first, ...words] = command.words;
  const inner: Inner = { commands: [], scripts: [] };
  if (first === undefined) return inner;
  const { name } = programName(first.value);
  for (const { wrapper, valued } of byProgram.get(name) ?? []) {
    const rest = afterSubcommand(wrapper, words, valued);
    if (rest === undefined) continue;
    addWrapped(inner, wrapper, afterOptions(rest, valued), name);
    return inner;
  }
  special.get(name)?.(inner, words);
  return inner;
}

/** The words after `run` of `uv run`, or nothing when the subcommand is another one. */
function afterSubcommand(
  wrapper: Wrapper,
  words: readonly Argument[],
  valued: ReadonlySet<string>,
): readonly Argument[] | undefined {
  if (wrapper.subcommand === undefined) return words;
  for (const wanted of wrapper.subcommand.split('|')) {
    let rest: readonly Argument[] = words;
    let fits = true;
    for (const word of wanted.split(' ')) {
      rest = afterOptions(rest, valued).rest;
      fits &&= rest[0]?.value === word;
      rest = rest.slice(1);
    }
    if (fits) return rest;
  }
  return undefined;
}

const assignment = /^[A-Za-z_]\w*\+?=/;

function addWrapped(inner: Inner, wrapper: Wrapper, after: AfterOptions, name: string): void {
  const scripts = setOf(wrapper.scripts);
  const onlyAsks = name === 'command' && after.options.some((it) => /^-[vV]+$/.test(it.name));
  for (const { name: option, value } of after.options) {
    if (scripts.has(option) && value !== undefined) inner.scripts.push(value);
  }
  let rest = after.rest;
  if (wrapper.assignments === true) {
    const at = rest.findIndex((word) => !assignment.test(word.value) && word.value !== '--');
    rest = at < 0 ? [] : rest.slice(at);
  }
  rest = rest.slice(wrapper.skip ?? 0);
  if (rest[0]?.value === '--') rest = rest.slice(1);
  if (rest.length === 0 || onlyAsks) return;
  if (wrapper.joined === true) inner.scripts.push(joined(rest));
  else inner.commands.push(wrapper.more === true ? [...rest, unknownArgument] : rest);
}

/** What a program makes of its words when it joins them for a shell. */
export function joined(words: readonly Argument[]): Argument {
  const value = words.map((word) => word.value).join(' ');
  const known = words.every((word) => word.known);
  return { ...unknownArgument, text: value, value, known };
}

const special = new Map<string, (inner: Inner, words: readonly Argument[]) => void>([
  ['find', addFindCommands],
  ['gfind', addFindCommands],
  ['fd', addFdCommands],
  ['fdfind', addFdCommands],
  ['eval', (inner, words) => inner.scripts.push(joined(words))],
  ['trap', (inner, words) => addScripts(inner, words.slice(0, 1))],
  ['hyperfine', (inner, words) => addScripts(inner, words)],
  ['alias', (inner, words) => addAliases(inner, words)],
  ['parallel', (inner, words) => addParallel(inner, words)],
  ['python', addModule],
  ['pypy', addModule],
]);

function addScripts(inner: Inner, words: readonly Argument[]): void {
  inner.scripts.push(...words.filter(({ value }) => !/^(-|\d+$)/.test(value)));
}

/** `python -m pip` is `pip`. */
function addModule(inner: Inner, words: readonly Argument[]): void {
  const at = words.findIndex(({ value }) => value === '-m');
  const name = words[at + 1]?.value ?? '';
  if (at >= 0 && /^(pip|pipx|twine|poetry|uv|pdm|hatch|flit|conda|awscli)$/.test(name)) {
    inner.commands.push(words.slice(at + 1).map((word) => ({ ...word })));
  }
}

function addAliases(inner: Inner, words: readonly Argument[]): void {
  for (const word of words) {
    const at = word.value.indexOf('=');
    if (at > 0) inner.scripts.push({ ...word, value: word.value.slice(at + 1) });
  }
}

function addParallel(inner: Inner, words: readonly Argument[]): void {
  const { rest } = afterOptions(words, setOf('-j -S -a -I -N -n -L --jobs --colsep --joblog'));
  const end = rest.findIndex((word) => /^:::/.test(word.value));
  const own = end < 0 ? rest : rest.slice(0, end);
  // Without a command of its own it runs its arguments.
  inner.scripts.push(own.length === 0 ? unknownArgument : joined(own));
}

function addFindCommands(inner: Inner, words: readonly Argument[]): void {
  words.forEach((word, at) => {
    if (!/^-(exec|execdir|ok|okdir)$/.test(word.value)) return;
    const rest = words.slice(at + 1);
    const end = rest.findIndex(({ value }) => value === ';' || value === '+');
    const own = end < 0 ? rest : rest.slice(0, end);
    inner.commands.push(own.map(foundName));
  });
}

/** `{}` stands for whatever is found. */
function foundName(word: Argument): Argument {
  if (!word.value.includes('{}')) return word;
  return { ...unknownArgument, text: word.text };
}

function addFdCommands(inner: Inner, words: readonly Argument[]): void {
  const at = words.findIndex(({ value }) => /^(-x|-X|--exec|--exec-batch)$/.test(value));
  if (at >= 0) inner.commands.push([...words.slice(at + 1).map(foundName), unknownArgument]);
}
