import { type Explanation, quoteWords, type ToolCall } from '@gatebook/policy';
import { writeStdout } from './destination.js';
import { reasonOf, usageError } from './failure.js';
import type { Places } from './places.js';
import { type PolicyFlags, policyOf } from './policy-options.js';
import { visible } from './visible.js';

export interface ExplainFlags {
  readonly tool?: string;
  readonly arguments?: string;
  readonly json?: boolean;
}

/** `gatebook policy explain`: one call, taken apart. */
export async function explainCall(
  words: readonly string[],
  flags: PolicyFlags & ExplainFlags,
  places: Places,
): Promise<number> {
  const call = callOf(words, flags);
  const policy = await policyOf(flags, places);
  const explanation = policy.explain(call);
  policy.close();
  await writeStdout(flags.json === true ? jsonOf(explanation) : textOf(explanation));
  return 0;
}

function callOf(words: readonly string[], flags: ExplainFlags): ToolCall {
  if (flags.tool !== undefined) {
    if (words.length > 0) throw usageError('name a tool or a command, not both');
    return { ...toolOf(flags.tool), arguments: argumentsOf(flags.arguments) };
  }
  if (flags.arguments !== undefined) throw usageError('--arguments needs --tool');
  if (words.length === 0) throw usageError('name a command after --, or a tool with --tool');
  // One word comes from quotes: it is what a shell will read. Several are what it has read already.
  const command = words.length === 1 ? words[0]! : quoteWords(words);
  return { tool: 'exec', arguments: { command } };
}

/** `fs/write_file` is a tool of a server. */
export function toolOf(name: string): { server?: string; tool: string } {
  const at = name.lastIndexOf('/');
  return at < 0 ? { tool: name } : { server: name.slice(0, at), tool: name.slice(at + 1) };
}

function argumentsOf(json: string | undefined): unknown {
  if (json === undefined) return {};
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    throw usageError(`--arguments: ${reasonOf(error)}`, error);
  }
}

function jsonOf({ rating, ...rest }: Explanation): string {
  const { kind, findings, commands, paths, complete } = rating;
  return `${JSON.stringify({ ...rest, kind, complete, findings, commands, paths })}\n`;
}

function textOf({ decision, risk, rule, asks, matches, covered, rating }: Explanation): string {
  const lines = [`decision  ${decision}`, `risk      ${risk}`, `rule      ${visible(rule)}`];
  if (asks.length > 1) lines.push(`asks      ${visible(asks.join(', '))}`);
  if (matches.length > 0) lines.push(`matches   ${visible(matches.join(', '))}`);
  if (covered) lines.push('covered   by the allow list');
  if (rating.commands.length > 0) lines.push('', ...commandLines(rating.commands));
  const told = rating.findings.map(
    (finding) =>
      `  ${finding.risk} ${finding.rule}: ${finding.reason}: ${visible(finding.subject)}`,
  );
  if (told.length > 0) lines.push('', 'found', ...told);
  return `${lines.join('\n')}\n`;
}

function commandLines(commands: Explanation['rating']['commands']): string[] {
  return [
    'commands',
    ...commands.map(({ text, through, risk }) => {
      const by = through.length === 0 ? '' : ` (through ${through.join(', ')})`;
      return `  ${risk.padEnd(8)} ${visible(text === '' ? '(redirection)' : text)}${visible(by)}`;
    }),
  ];
}
