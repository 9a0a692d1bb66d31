import { type Finding, worstFinding } from '../finding.js';
import { type NamedPath, ratePath } from '../paths/access.js';
import type { Surroundings } from '../paths/canonical.js';
import { type Risk, worse } from '../risk.js';
import { type RatedCommand, rateShell } from '../shell/rate.js';
import { rateVariables } from '../shell/variables.js';
import { literal } from '../shell/word.js';
import type { CallKind, ToolCall } from './call.js';
import { callName } from './call.js';
import { fileArguments } from './file-argument.js';
import { flatten } from './flatten.js';
import { shellArgument } from './shell-argument.js';

/** What is told of calls that are no commands. */
export const callRules = {
  'tool-destructive': {
    risk: 'high',
    reason: 'the tool says of itself that it destroys (destructiveHint)',
  },
  'arguments-too-large': {
    risk: 'high',
    reason: 'the arguments are larger or deeper than what is looked at, or no JSON',
  },
  'command-missing': { risk: 'high', reason: 'a tool that runs commands, without one to be read' },
} as const satisfies Record<string, { risk: Risk; reason: string }>;

export interface CallRating {
  kind: CallKind;
  risk: Risk;
  /** The rule that counts most; none for what is only everyday work. */
  rule: string | undefined;
  findings: Finding[];
  /** The command line, for a tool that runs one. */
  command: string | undefined;
  commands: RatedCommand[];
  /** The paths that the call names, as they are written. */
  paths: NamedPath[];
  /** The arguments as pairs of JSON pointer and text. */
  arguments: ReadonlyMap<string, string>;
  /** False when the arguments are beyond what is looked at. */
  complete: boolean;
}

/** The risk of a call: of the command it runs, of the files it names, else medium, raised by what the tool says. */
export function rateCall(call: ToolCall, around: Surroundings = {}): CallRating {
  const { pairs, complete } = flatten(call.arguments);
  const findings: Finding[] = [];
  const tell = (rule: keyof typeof callRules): void => {
    findings.push({ rule, ...callRules[rule], subject: callName(call) });
  };
  if (!complete) tell('arguments-too-large');
  // Only what a tool admits counts: a hint that it does no harm is the word of a stranger.
  if (call.annotations?.destructiveHint === true && call.annotations.readOnlyHint !== true) {
    tell('tool-destructive');
  }
  const command = shellArgument(call);
  const runsCommands = command !== undefined || call.tool === 'exec';
  if (runsCommands && command === undefined) tell('command-missing');
  const shell = command === undefined ? undefined : rateShell(command, around, folderOf(pairs));
  if (runsCommands) findings.push(...rateEnvironment(pairs));
  const paths = command === undefined ? fileArguments(call, pairs) : (shell?.places ?? []);
  if (shell !== undefined) findings.push(...shell.findings);
  else
    for (const { path, access } of paths)
      findings.push(...ratePath({ written: path }, access, around));
  const base: Risk = shell?.risk ?? 'medium';
  return {
    kind: runsCommands ? 'exec' : paths.length > 0 ? 'file' : 'tool',
    risk: findings.reduce((risk, finding) => worse(risk, finding.risk), base),
    rule: worstFinding(findings)?.rule,
    findings,
    command,
    commands: shell?.commands ?? [],
    paths,
    arguments: pairs,
    complete,
  };
}

const folderNames = /^\/(cwd|workdir|work_?dir|working_?dir(ectory)?|dir|directory|folder)$/i;

/** Where a command is to run. */
function folderOf(pairs: ReadonlyMap<string, string>): string | undefined {
  for (const [pointer, value] of pairs) {
    if (folderNames.test(pointer) && value !== '' && value !== 'null') return value;
  }
  return undefined;
}

/** The variables that a command is to have. */
function rateEnvironment(pairs: ReadonlyMap<string, string>): Finding[] {
  const assigned = [...pairs].flatMap(([pointer, value]) => {
    const name = /^\/env(?:ironment)?\/(\w+)$/i.exec(pointer)?.[1];
    return name === undefined ? [] : [{ name, value: literal(value) }];
  });
  return rateVariables(assigned);
}
