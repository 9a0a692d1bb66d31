import type { ToolCall } from './call.js';

const shellTools =
  /^(exec|bash|sh|shell|zsh|terminal|cmd|command|(run|execute|exec|start)[-_]?(in[-_]?)?(a[-_]?)?(shell|bash|terminal|command|cmd|process|script)([-_]?command)?|shell[-_]?(exec|run|command)|bash[-_]?(exec|tool|command)|local[-_]shell|start[-_]process|interact_with_process)$/i;
const commandNames = [
  'command',
  'cmd',
  'script',
  'commandLine',
  'command_line',
  'shell_command',
  'code',
  'input',
];

/** The command line among a call's arguments; nothing when the tool is none that runs commands. */
export function shellArgument(call: ToolCall): string | undefined {
  if (!shellTools.test(call.tool)) return undefined;
  const given = call.arguments;
  if (typeof given === 'string') return given;
  if (isWords(given)) return quoteWords(given);
  if (typeof given !== 'object' || given === null) return undefined;
  const named = new Map(Object.entries(given));
  const argv = named.get('argv');
  if (isWords(argv)) return quoteWords(argv);
  for (const name of commandNames) {
    const value = named.get(name);
    const args = named.get('args');
    if (isWords(value)) return quoteWords(value);
    if (typeof value === 'string') return isWords(args) ? `${value} ${quoteWords(args)}` : value;
  }
  return undefined;
}

function isWords(value: unknown): value is string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === 'string')
  );
}

/** Words as a shell would have to be given them, so that it changes none. */
export function quoteWords(words: readonly string[]): string {
  return words
    .map((word) =>
      /^[\w@%+=:,./-]+$/.test(word) && !/^\w+=/.test(word)
        ? word
        : `'${word.replaceAll("'", "'\\''")}'`,
    )
    .join(' ');
}
