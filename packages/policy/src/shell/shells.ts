import type { Finding } from '../finding.js';
import { commandText, type Input, type SimpleCommand } from './command.js';
import { shells } from './inner.js';
import { notice } from './notices.js';
import { programName } from './program-name.js';
import { type Argument, literal, unknownArgument } from './word.js';
import { afterOptions, setOf } from './words-before.js';

export interface ShellScripts {
  scripts: Argument[];
  findings: Finding[];
  /** What those scripts read. */
  input: Input;
}

const valued = setOf('-o -O +O +o --rcfile --init-file');

/** What a shell reads: the text of `-c`, a here-document, or what nobody can tell. Nothing for other programs. */
export function shellScripts(command: SimpleCommand): ShellScripts | undefined {
  const [first, ...words] = command.words;
  if (first === undefined || !shells.has(programName(first.value).name)) return undefined;
  const { options, rest } = afterOptions(words, valued);
  const result: ShellScripts = { scripts: [], findings: [], input: command.input };
  const has = (name: RegExp): boolean => options.some((option) => name.test(option.name));
  if (has(/^--(rcfile|init-file)$/)) {
    result.findings.push(notice('unseen-script', commandText(command)));
  }
  if (has(/^[-+]c$|^-[A-Za-z]*c[A-Za-z]*$/) || options.some(({ name }) => name === '--command')) {
    result.scripts.push(rest[0] ?? unknownArgument);
  } else if (has(/^--(version|help)$/)) {
    return result;
  } else if (rest.length === 0 || has(/^-[a-z]*s[a-z]*$/)) {
    readInput(command, result);
  }
  return result;
}

function readInput(command: SimpleCommand, result: ShellScripts): void {
  const text = inputText(command.input);
  const direct = command.input.kind === 'text' || isHereDocument(command.input);
  if (text !== undefined) result.scripts.push(text);
  const contained = command.through.some((outer) =>
    /^(docker|podman|nerdctl|docker-compose)$/.test(outer),
  );
  if (command.input.kind === 'inherited') {
    // A shell in a container of one's own is a workplace.
    if (contained) return;
    result.findings.push(notice('interactive-shell', commandText(command)));
  } else if (!direct) {
    result.findings.push(notice('piped-script', commandText(command)));
  }
  result.input = { kind: 'inherited' };
}

/** What a command finds at its standard input, where that is written in the command line. */
export function inputText(input: Input): Argument | undefined {
  if (input.kind === 'text') return { ...literal(input.text), known: input.known };
  if (input.kind !== 'pipe' || input.from === undefined) return undefined;
  const [first, ...words] = input.from.words;
  if (first?.value === 'cat' && words.length === 0) return inputText(input.from.input);
  if (first?.value !== 'echo' && first?.value !== 'printf') return undefined;
  const own = words.filter((word) => !/^-[neE]+$/.test(word.value));
  const value = own.map((word) => word.value.replace(/\\n/g, '\n')).join(' ');
  return { ...literal(value), known: own.every((word) => word.known) };
}

/** `cat <<EOF | sh` hides as little as `sh <<EOF`. */
function isHereDocument(input: Input): boolean {
  if (input.kind !== 'pipe') return false;
  const from = input.from;
  return from?.words.length === 1 && from.words[0]!.value === 'cat' && from.input.kind === 'text';
}
