import type { Finding } from '../finding.js';
import { isTemporary } from '../paths/access.js';
import { canonicalPath } from '../paths/canonical.js';
import { isAtLeast, type Risk } from '../risk.js';
import { codeWords, languageOf, rateCode } from './code.js';
import { commandText, type SimpleCommand } from './command.js';
import { shells } from './inner.js';
import type { LineState } from './line-state.js';
import { matchRules } from './matching.js';
import { notice } from './notices.js';
import { ratePaths, rateRedirections } from './path-use.js';
import { type ProgramName, programName } from './program-name.js';
import { knownProgram } from './programs.js';
import { usesByProgram } from './rules/table.js';
import { scriptFile } from './script-files.js';
import { inputText } from './shells.js';
import { rateSpecial } from './special.js';
import { guardOf, judgeSubcommand, subcommandOf } from './subcommand.js';
import { transferPrograms } from './transfer.js';
import { rateVariables } from './variables.js';
import { type Argument, hole, literal } from './word.js';

export interface CommandRating {
  /** What the program is worth when no rule says more. */
  base: Risk;
  findings: Finding[];
  /** True when what stands beside the words is high or worse. */
  beside: boolean;
}

/** One simple command: its variables, redirections, program, words. */
export function rateCommand(command: SimpleCommand, state: LineState): CommandRating {
  const subject = commandText(command);
  const findings = [...rateAssignments(command, state), ...rateRedirections(command, state)];
  const first = command.words[0];
  const beside = findings.some(({ risk }) => isAtLeast(risk, 'high'));
  let base: Risk = command.redirections.length > 0 ? 'medium' : 'low';
  if (first !== undefined) {
    const name = programName(first.value, state.around);
    const own = rateProgram(command, name, subject, state);
    base = own.base;
    findings.push(...own.findings);
    if (isHidden(command)) findings.push(notice('hidden-command', subject));
    state.files.note(command, name.name);
    if (name.name === 'cd' || name.name === 'pushd') state.enter(command.words[1]);
    if (name.name === 'popd') state.leave();
  } else {
    state.files.note(command, '');
  }
  noteFlows(findings, state);
  return { base, findings, beside };
}

/** Whether only the shell knows which program it is. `$HOME` and `$PWD` are as good as written out. */
function isHidden(command: SimpleCommand): boolean {
  const { known, pattern, braces, runs, variables, value } = command.words[0]!;
  // `[` is a program and no pattern.
  if (pattern && value !== '[') return true;
  const plain = variables.every((name) => name === 'HOME' || name === 'PWD');
  return !known || braces || runs || !plain;
}

function rateAssignments(command: SimpleCommand, state: LineState): Finding[] {
  const assignments = [...command.assignments];
  const name = command.words[0]?.value ?? '';
  if (/(^|\/)(env|sudo|doas|cross-env|dotenv|dotenvx|env-cmd|setenv)$/.test(name)) {
    for (const word of command.words.slice(1)) {
      const at = word.value.indexOf('=');
      const variable = word.value.slice(0, Math.max(0, at));
      if (!/^[A-Za-z_]\w*$/.test(variable)) {
        if (/(env|sudo|doas)$/.test(name) && !word.value.startsWith('-')) break;
        continue;
      }
      assignments.push({ name: variable, value: { ...word, value: word.value.slice(at + 1) } });
    }
  }
  for (const { name: variable, value } of assignments) {
    if (value.runs) state.fromCommands.add(variable);
  }
  const readsLine = command.words[0]?.value === 'read' || command.words[0]?.value === 'mapfile';
  const secrets = assignments.flatMap(({ value }) =>
    /^[~/.]/.test(value.value) ? ratePaths([value], 'use', state) : [],
  );
  return [...(readsLine ? [] : rateVariables(assignments)), ...secrets];
}

function rateProgram(
  command: SimpleCommand,
  name: ProgramName,
  subject: string,
  state: LineState,
): Omit<CommandRating, 'beside'> {
  const args = command.words.slice(1);
  const { name: program } = name;
  const direct = name.place === 'path' || name.place === 'system';
  if (direct && args.length === 1 && /^--(help|version)$/.test(args[0]!.value)) {
    return { base: 'low', findings: [] };
  }
  const sub = subcommandOf(program, args);
  const findings: Finding[] = matchRules({ program, args, sub, subject });
  if (filtersEnvironment(command, args.length)) remove(findings, 'environment-shown');
  const guard = guardOf(program);
  let base: Risk = knownProgram(program)?.risk ?? 'medium';
  if (guard !== undefined && !asksForHelp(args.map(({ value }) => value))) {
    const verdict = judgeSubcommand(guard, sub, args);
    if (verdict !== 'high') base = verdict;
    else findings.push({ rule: guard.id, risk: 'high', reason: guard.reason, subject });
  }
  findings.push(...rateSpecial({ command, program, args, subject, state }));
  findings.push(...ratePaths(args, pathsOf(program), state, program));
  findings.push(...rateCodeOf(command, program, subject, state));
  findings.push(...rateFile(command, name, subject, state));
  if (isUnknown(command, name, state) && !asksForHelp(args.map(({ value }) => value)))
    findings.push(notice('unknown-program', subject));
  if (base !== 'low' && command.through.some((outer) => /(^|\/)(sudo|doas)$/.test(outer))) {
    findings.push(notice('as-root', subject));
  }
  return { base, findings };
}

function pathsOf(program: string) {
  return knownProgram(program)?.paths ?? 'use';
}

/** A version or a page of help is all that is asked for. */
function asksForHelp(values: readonly string[]): boolean {
  return values.length <= 3 && /^(--version|--help)$/.test(values.at(-1) ?? '');
}

function remove(findings: Finding[], rule: string): void {
  const at = findings.findIndex((finding) => finding.rule === rule);
  if (at >= 0) findings.splice(at, 1);
}

const containers = /^(docker|podman|nerdctl|docker-compose)$/;

/** `env | grep NODE` shows what it is asked for. */
function filtersEnvironment(command: SimpleCommand, count: number): boolean {
  if (command.through.some((outer) => containers.test(outer))) return true;
  return command.filtered === true && count <= 1;
}

/** Programs that no list and no rule knows, and that do not lie in the work's own folder. */
function isUnknown(
  command: SimpleCommand,
  { name, place }: ProgramName,
  state: LineState,
): boolean {
  const value = command.words[0]!.value;
  if (value.includes(hole) || state.functions.has(value)) return false;
  if (knownProgram(name) !== undefined || guardOf(name) !== undefined || shells.has(name))
    return false;
  if (transferPrograms.has(name) || usesByProgram.has(name) || languageOf(name) !== undefined)
    return false;
  const inside = command.through.map((outer) => programName(outer).name);
  if (inside.some((outer) => containers.test(outer))) return false;
  if (
    inside.some((outer) => /^(uv|poetry|pipenv|pdm|rye|hatch)$/.test(outer)) &&
    /\.py$/.test(name)
  )
    return false;
  if (inside.some((outer) => /^(bundle|mise|asdf|direnv)$/.test(outer))) return false;
  return (
    place === 'path' ||
    place === 'system' ||
    (place === 'elsewhere' &&
      !/^(\/home|~|\/Users|\/work|\/app|\/src|\/repo|\/opt\/app)/.test(value))
  );
}

function rateCodeOf(
  command: SimpleCommand,
  program: string,
  subject: string,
  state: LineState,
): Finding[] {
  const language = languageOf(program);
  if (language === undefined) return [];
  const { code, file, module } = codeWords(program, command.words.slice(1));
  const findings = code.flatMap((each) => rateCode(program, each, subject, state.around));
  if (code.length > 0 || module || (file !== undefined && file.value !== '-')) return findings;
  if (program === 'bun' || program === 'deno') return findings;
  if (command.input.kind === 'inherited') return findings;
  const text = inputText(command.input);
  if (text !== undefined) return [...findings, ...rateCode(program, text, subject, state.around)];
  return [...findings, notice('piped-script', subject)];
}

/** A script in a file: one that the line has written is read, one from a place for anybody is not trusted. */
function rateFile(
  command: SimpleCommand,
  name: ProgramName,
  subject: string,
  state: LineState,
): Finding[] {
  const file = scriptFile(command, name);
  if (file === undefined) return [];
  if (file.value === hole || file.runs)
    return hiddenFile(file, name.name) ? [notice('unseen-script', subject)] : [];
  const { value } = file;
  if (state.files.has(value)) {
    const text = state.files.get(value);
    if (text === undefined || !text.known) return [notice('fetched-script', subject)];
    const program = interpreterOf(text.value, name.name);
    if (languageOf(program) !== undefined)
      return rateCode(program, literal(text.value), subject, state.around);
    state.addScript(text.value);
    return [];
  }
  const path = canonicalPath(state.resolve(value), state.around);
  const reads = shells.has(name.name) || name.name === 'source' || name.name === '.';
  const direct = file === command.words[0];
  if (/^\/(dev|proc)\//.test(path)) return [notice('unseen-script', subject)];
  const open = isTemporary(path) || /^\/(dev\/shm|var\/tmp)\//.test(path);
  return open && (reads || direct) ? [notice('unseen-script', subject)] : [];
}

function interpreterOf(text: string, program: string): string {
  const line = /^#!\s*\S*?(?:env\s+)?(?:\/\S*\/)?([\w.]+)/.exec(text);
  const named = line?.[1] === 'env' ? undefined : line?.[1];
  return named === undefined ? program : programName(named).name;
}

/** `. "$NVM_DIR/nvm.sh"` and `for f in *.py; do python $f; done` are everyday; a word that nobody can know is not. */
function hiddenFile({ variables, runs }: Argument, program: string): boolean {
  if (runs || variables.length === 0) return true;
  if (languageOf(program) !== undefined) return false;
  return !variables.every((name) =>
    /^(NVM_DIR|VIRTUAL_ENV|HOME|BASH_SOURCE|0|CARGO_HOME|PYENV_ROOT)$/.test(name),
  );
}

const secretReads =
  /^(path-(ssh|credentials|passwords|process-memory|history|env-file)|environment-shown|code-environment|cloud-secret|secret-search)$/;
const networkUses = /^(network-|copy-remote|secret-sent|code-network|message-sent|shell-network)/;

function noteFlows(findings: readonly Finding[], state: LineState): void {
  for (const { rule, risk } of findings) {
    if (secretReads.test(rule) && risk === 'high') state.readsSecrets = true;
    if (networkUses.test(rule) && rule !== 'network-options') state.reachesNetwork = true;
  }
}
