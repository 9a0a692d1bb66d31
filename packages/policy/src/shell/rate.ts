import { type Finding, worstFinding } from '../finding.js';
import type { NamedPath } from '../paths/access.js';
import { ratePath } from '../paths/access.js';
import type { Surroundings } from '../paths/canonical.js';
import { isAtLeast, type Risk, riskLevel, worse } from '../risk.js';
import { commandText, type SimpleCommand } from './command.js';
import { rateCommand } from './command-rating.js';
import { shellLimits } from './limits.js';
import { LineState } from './line-state.js';
import { notice } from './notices.js';
import { readScript } from './script.js';
import { literal } from './word.js';

export interface RatedCommand {
  /** The words on one line, quotes gone where they do not matter. */
  text: string;
  /** The program's name as it is written; empty when there is none or only the shell knows it. */
  program: string;
  /** The programs that start it, outermost first. */
  through: string[];
  risk: Risk;
  findings: Finding[];
  /** True when a redirection or a variable beside its words is high or worse. */
  beside: boolean;
}

export interface ShellRating {
  risk: Risk;
  /** The rule that counts most; none for what is only everyday work. */
  rule: string | undefined;
  findings: Finding[];
  /** Every simple command, in the order it was read. */
  commands: RatedCommand[];
  /** The paths among its words and redirections; at most 500. */
  places: NamedPath[];
}

/**
 * The risk of a command line: the worst of all the simple commands in it, whatever they are wrapped in. What cannot
 * be read is high.
 *
 * @param folder where it runs, when that is not the workspace.
 */
export function rateShell(
  text: string,
  around: Surroundings = {},
  folder: string | undefined = undefined,
): ShellRating {
  return rateAt(text, around, 0, folder);
}

function rateAt(
  text: string,
  around: Surroundings,
  depth: number,
  folder: string | undefined = undefined,
): ShellRating {
  const reading = readScript(text);
  const state = new LineState(reading.functions, around);
  if (folder !== undefined) state.enter(literal(folder));
  const commands: RatedCommand[] = [];
  const findings: Finding[] = [...reading.findings];
  for (const word of reading.mentions) {
    if (/[/~.]/.test(word.value)) {
      findings.push(
        ...severe(ratePath({ written: word.value, pattern: word.pattern }, 'list', around)),
      );
    }
  }
  for (const command of reading.commands) {
    const own = rateCommand(command, state);
    const written = depth < 2 ? rateWritten(state, around, depth) : [];
    findings.push(...own.findings, ...written);
    commands.push({
      text: commandText(command),
      program: programOf(command),
      through: command.through,
      findings: [...own.findings, ...written],
      beside: own.beside,
      risk: [...own.findings, ...written].reduce<Risk>(
        (risk, it) => worse(risk, it.risk),
        own.base,
      ),
    });
  }
  if (state.reachesNetwork && state.readsSecrets) {
    findings.push(notice('secrets-to-network', text.slice(0, 200)));
  }
  return { ...summary(commands, findings), places: state.places };
}

/** Scripts that the line itself has written are read as if they stood in it. */
function rateWritten(state: LineState, around: Surroundings, depth: number): Finding[] {
  const findings: Finding[] = [];
  for (const script of state.takeScripts()) {
    findings.push(...rateAt(script, around, depth + 1).findings);
  }
  return findings;
}

function severe(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ risk }) => isAtLeast(risk, 'high'));
}

function programOf(command: SimpleCommand): string {
  const name = command.words[0];
  return name === undefined || !name.known ? '' : name.value;
}

function summary(commands: RatedCommand[], all: readonly Finding[]): Omit<ShellRating, 'places'> {
  const findings = bounded(distinct(all));
  const base = commands.reduce<Risk>((risk, command) => worse(risk, command.risk), 'low');
  const risk = findings.reduce((worst, finding) => worse(worst, finding.risk), base);
  return { risk, rule: worstFinding(findings)?.rule, findings, commands };
}

/** The first of each rule before all others, so that a long line hides no rule from who decides by them. */
function bounded(findings: readonly Finding[]): Finding[] {
  const max = shellLimits.commands;
  if (findings.length <= max) return [...findings];
  const firsts = new Map<string, Finding>();
  for (const finding of findings) {
    const first = firsts.get(finding.rule);
    if (first === undefined || riskLevel(finding.risk) > riskLevel(first.risk)) {
      firsts.set(finding.rule, finding);
    }
  }
  const kept = new Set(firsts.values());
  return [...kept, ...findings.filter((finding) => !kept.has(finding))].slice(0, max);
}

/** Each rule once for a subject, with the highest risk it was found at. */
function distinct(findings: readonly Finding[]): Finding[] {
  const kept = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.rule}\0${finding.subject}`;
    const before = kept.get(key);
    if (before === undefined || riskLevel(finding.risk) > riskLevel(before.risk)) {
      kept.set(key, finding);
    }
  }
  return [...kept.values()];
}
