import type { Argument } from './word.js';

/** What a command reads from its standard input. */
export type Input =
  | { kind: 'inherited' }
  | { kind: 'file' }
  /** The output of the command before it in the pipe, when that is a simple one. */
  | { kind: 'pipe'; from: SimpleCommand | undefined }
  /** A here-document or a here-string. */
  | { kind: 'text'; text: string; known: boolean };

export interface Assigned {
  name: string;
  value: Argument;
}

export interface Redirection {
  operator: string;
  target: Argument;
}

/** One program with its words, out of whatever it was wrapped in. */
export interface SimpleCommand {
  /** The name first; none when there are only assignments or redirections. */
  words: Argument[];
  assignments: Assigned[];
  redirections: Redirection[];
  input: Input;
  /** True when its output goes into a pipe. */
  piped: boolean;
  /** The programs that start it, outermost first: `sudo`, `xargs`. */
  through: string[];
  /** True for the redirections of a loop, a subshell or another block. */
  block?: true;
  /** True when `grep` chooses from its output. */
  filtered?: true;
  /** The words of the `find` that starts it for each file. */
  finder?: Argument[];
}

/** The command on one line, words as they are known and newlines as spaces. */
export function commandText(command: SimpleCommand): string {
  const parts = [
    ...command.assignments.map(({ name, value }) => `${name}=${value.text}`),
    ...command.words.map((word) => (word.known ? quoted(word.value) : word.text)),
  ];
  return parts.join(' ').replace(/\s+/g, ' ').trim();
}

/** Words with blanks are shown in quotes, so that two commands with different words never look the same. */
function quoted(value: string): string {
  if (value === '') return "''";
  return /[\s'"]/.test(value) ? `'${value.replace(/'/g, "'\\''")}'` : value;
}
