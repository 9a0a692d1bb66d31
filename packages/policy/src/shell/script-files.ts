import { canonicalPath, type Surroundings } from '../paths/canonical.js';
import { codeWords } from './code.js';
import type { SimpleCommand } from './command.js';
import { shells } from './inner.js';
import type { ProgramName } from './program-name.js';
import { inputText } from './shells.js';
import { type Argument, hole } from './word.js';
import { afterOptions, setOf } from './words-before.js';

/** The files that a command line writes before it may run them; `undefined` for content that nobody can tell. */
export class WrittenFiles {
  readonly #contents = new Map<string, Argument | undefined>();
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  has(path: string): boolean {
    return this.#contents.has(this.#key(path));
  }

  get(path: string): Argument | undefined {
    return this.#contents.get(this.#key(path));
  }

  #key(path: string): string {
    return canonicalPath(path, this.#around);
  }

  /** Takes up what a command writes. */
  note(command: SimpleCommand, program: string): void {
    for (const { operator, target } of command.redirections) {
      if (operator.startsWith('<') || !target.known) continue;
      this.#set(target.value, operator === '>>' ? undefined : textOf(command));
    }
    for (const path of outputs(program, command.words.slice(1))) this.#set(path, undefined);
    if (program === 'tee') {
      const own = command.words.slice(1).filter(({ value }) => !value.startsWith('-'));
      for (const { value } of own) this.#set(value, inputText(command.input));
    }
  }

  #set(path: string, content: Argument | undefined): void {
    if (this.#contents.size < 200) this.#contents.set(this.#key(path), content);
  }
}

/** What `cat <<EOF > file` or `echo text > file` writes. */
function textOf(command: SimpleCommand): Argument | undefined {
  return inputText({ kind: 'pipe', from: command });
}

function outputs(program: string, words: readonly Argument[]): string[] {
  const values = words.map(({ value }) => value);
  const found: string[] = [];
  if (program === 'cp' || program === 'mv' || program === 'ln' || program === 'install') {
    found.push(...values.slice(-1));
  } else if (/^(curl|wget|wget2|openssl|gpg|base64|xxd|aria2c|http)$/.test(program)) {
    values.forEach((value, at) => {
      if (/^(-o|-O|--output|--output-document|-out|-d)$/.test(value))
        found.push(values[at + 1] ?? '');
      const attached = /^(?:-o|-O|--output=|--output-document=)(.+)$/.exec(value);
      if (attached !== null) found.push(attached[1]!);
      if (/^[a-z]+:\/\//i.test(value))
        found.push(
          value
            .replace(/[?#].*$/, '')
            .split('/')
            .at(-1) ?? '',
        );
    });
    if (program === 'xxd') found.push(...values.slice(-1));
  }
  return found.filter((path) => path !== '' && !path.includes(hole) && !path.startsWith('-'));
}

/** The file that an interpreter, a shell or the command itself runs. */
export function scriptFile(
  command: SimpleCommand,
  { name, place }: ProgramName,
): Argument | undefined {
  const [first, ...words] = command.words;
  if (shells.has(name)) {
    const { options, rest } = afterOptions(words, setOf('-o -O +O --rcfile --init-file'));
    const reads = options.some((it) => /^[-+]\w*[cs]\w*$|^--(version|help|command)$/.test(it.name));
    return reads ? undefined : rest[0];
  }
  if (name === 'source' || name === '.') return words[0];
  if (name === 'deno' || name === 'bun') {
    return words[0]?.value === 'run'
      ? words.slice(1).find(({ value }) => !value.startsWith('-'))
      : undefined;
  }
  const { code, file, module } = codeWords(name, words);
  if (code.length === 0 && !module && file !== undefined && file.value !== '-') return file;
  return place === 'path' || place === 'system' ? undefined : first;
}
