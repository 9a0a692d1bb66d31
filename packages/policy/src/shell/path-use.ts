import type { Finding } from '../finding.js';
import { type Access, ratePath } from '../paths/access.js';
import { isAtLeast } from '../risk.js';
import { commandText, type SimpleCommand } from './command.js';
import { shells } from './inner.js';
import type { LineState } from './line-state.js';
import { notice } from './notices.js';
import { programName } from './program-name.js';
import type { Paths } from './programs.js';
import { type Argument, hole } from './word.js';

/** What a command's words mean as paths. */
export function ratePaths(
  args: readonly Argument[],
  paths: Paths,
  state: LineState,
  program = '',
): Finding[] {
  if (paths === 'none') return [];
  const words = pathWords(args, program, paths);
  const findings: Finding[] = [];
  words.forEach((word, at) => {
    const access = accessOf(paths, at === words.length - 1, program);
    for (const each of access) findings.push(...rateWord(word, each, paths, state));
  });
  findings.push(...rateOutputs(args, paths, state, program));
  return findings;
}

/** `-o file` is written, whatever becomes of the other words. */
function rateOutputs(
  args: readonly Argument[],
  paths: Paths,
  state: LineState,
  program: string,
): Finding[] {
  if (
    /^(grep|egrep|rg|ps|ssh|lsof|ls|set|zsh|bash|sh|mount|find|stat|docker|kubectl)$/.test(program)
  )
    return [];
  return args.flatMap((arg, at) => {
    const attached = /^--(?:output|output-file|outfile|out)=(.+)$/.exec(arg.value)?.[1];
    if (attached !== undefined) return rateWord({ ...arg, value: attached }, 'write', paths, state);
    const next = args[at + 1];
    if (next === undefined || !/^(-o|--output|--output-file|--outfile|--out|-out)$/.test(arg.value))
      return [];
    return rateWord(next, 'write', paths, state);
  });
}

function accessOf(paths: Paths, last: boolean, program: string): Access[] {
  switch (paths) {
    case 'list':
      return ['list'];
    case 'write':
      return ['write'];
    case 'copy':
      if (/^(mv|gmv|ln|link)$/.test(program)) return ['read', 'write'];
      return last ? ['write'] : ['read'];
    default:
      return ['read'];
  }
}

function rateWord(word: Argument, access: Access, paths: Paths, state: LineState): Finding[] {
  const written = state.resolve(word.value);
  state.notePlace(written, access);
  const found = ratePath({ written, pattern: word.pattern }, access, state.around);
  return found
    .filter(({ rule }) => paths !== 'use' || rule !== 'path-env-file')
    .map((finding) => ({ ...finding, subject: word.text }));
}

/** The words that may be paths: no options, but what follows `=` in them; no pattern to look for. */
function pathWords(args: readonly Argument[], program: string, paths: Paths): Argument[] {
  const words: Argument[] = [];
  let skipPattern =
    paths === 'search' && !args.some(({ value }) => /^(-e|-f|--regexp|--file)/.test(value));
  if (/^(g?sed)$/.test(program))
    skipPattern = !args.some(({ value }) => /^(-e|-f|--expression|--file)/.test(value));
  if (/^(jq|jaq|gojq|yq|awk|gawk|mawk|nawk)$/.test(program)) skipPattern = true;
  let ended = false;
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    const { value } = word;
    if (!ended && value === '--') ended = true;
    else if (!ended && /^-./.test(value)) {
      if (isKeyOption(value, program)) at++;
      const rest = /^(?:--[\w-]+=|-[A-Za-z](?=[~/.]))(.*)$/.exec(value)?.[1];
      if (rest !== undefined && rest !== '') words.push({ ...word, value: rest });
    } else if (skipPattern && !(paths === 'search' && /^\d+$/.test(value))) skipPattern = false;
    else words.push(...withoutPrefix(word));
  }
  return words;
}

/** A key that is used to open a connection is not shown. */
function isKeyOption(value: string, program: string): boolean {
  if (/^(ssh|scp|sftp|rsync|autossh|mosh)$/.test(program)) return value === '-i';
  if (/^(sed|gsed)$/.test(program)) return /^(-e|--expression)$/.test(value);
  if (/^(grep|egrep|fgrep|rg|ag|ack)$/.test(program))
    return /^(-e|--regexp|-g|--glob|--include|--exclude)$/.test(value);
  if (/^(find|gfind)$/.test(program))
    return /^-(name|iname)$/.test(value) ? false : /^-(regex|newermt|printf|size)$/.test(value);
  return /^(git|npm|gh)$/.test(program) && /^(-m|--message|-b|--body|-t|--title)$/.test(value);
}

/** `if=/dev/sda`, `@file`, `a:b` hold paths too. */
function withoutPrefix(word: Argument): Argument[] {
  const { value } = word;
  const parts = [word];
  const assigned = /^[\w-]+=(.+)$/.exec(value)?.[1];
  if (assigned !== undefined) parts.push({ ...word, value: assigned });
  if (value.startsWith('@')) parts.push({ ...word, value: value.slice(1) });
  const colon = value.indexOf(':');
  if (colon > 0 && !/^[a-z]+:\/\//i.test(value))
    parts.push({ ...word, value: value.slice(0, colon) });
  return parts;
}

export function rateRedirections(command: SimpleCommand, state: LineState): Finding[] {
  const findings: Finding[] = [];
  for (const { operator, target } of command.redirections) {
    const subject = `${operator} ${target.text}`;
    if (
      /^\/dev\/(tcp|udp)\//.test(target.value) ||
      (target.value.includes(hole) && /^\/dev\//.test(target.value))
    ) {
      findings.push(notice(isShell(command) ? 'reverse-shell' : 'shell-network', subject));
      continue;
    }
    const writes = !(operator.startsWith('<') && operator !== '<>');
    const written = state.resolve(target.value);
    const access = writes ? 'write' : 'read';
    state.notePlace(written, access);
    const own = ratePath({ written, pattern: target.pattern }, access, state.around);
    findings.push(...own.map((finding) => ({ ...finding, subject })));
    if (writes && empties(command, operator) && !isRubbish(target.value)) {
      findings.push(notice('file-empty', subject));
    }
  }
  return findings.filter(({ risk }) => isAtLeast(risk, 'medium'));
}

function isShell(command: SimpleCommand): boolean {
  const name = command.words[0];
  return name !== undefined && (shells.has(programName(name.value).name) || name.value === 'exec');
}

/** `> file` and `: > file` write nothing but the loss of what was there. */
function empties(command: SimpleCommand, operator: string): boolean {
  if (command.block === true || !/^(>|>\|)$/.test(operator)) return false;
  const text = commandText({ ...command, assignments: [] });
  const nothing = command.redirections.some(({ target }) => target.value === '/dev/null');
  if (nothing && (text === 'cat' || text.startsWith('cat <'))) return true;
  return /^(|:|true|cat \/dev\/null|echo -n|echo -n ''|printf '')$/.test(text);
}

function isRubbish(path: string): boolean {
  return /\.(log|out|tmp|txt|err|pid|lock)$|(^|\/)(\.gitkeep|\.keep|__init__\.py|\.nojekyll|\.placeholder|py\.typed)$|^\/dev\/|^\/tmp\//.test(
    path,
  );
}
