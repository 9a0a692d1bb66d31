import type { Finding } from '../finding.js';
import { ratePath } from '../paths/access.js';
import type { Surroundings } from '../paths/canonical.js';
import { type CodeRuleId, codeRules, type Language, languages } from './languages.js';
import { shellLimits } from './limits.js';
import { type Argument, hole } from './word.js';
import { setOf } from './words-before.js';

const byProgram = new Map<
  string,
  { language: Language; options: ReadonlySet<string>; valued: ReadonlySet<string> }
>();
for (const language of languages) {
  for (const program of language.programs.split(' ')) {
    if (byProgram.has(program)) continue;
    byProgram.set(program, {
      language,
      options: setOf(language.options),
      valued: setOf(language.valued),
    });
  }
}

export function languageOf(program: string): Language | undefined {
  return byProgram.get(program)?.language;
}

export interface CodeWords {
  /** The code among the words. */
  code: Argument[];
  /** The first word that is neither an option nor code: a file, most of the time. */
  file: Argument | undefined;
  /** True when the program is told to read a module or a file by an option. */
  module: boolean;
}

/** Where the code is among the words of an interpreter. */
export function codeWords(program: string, words: readonly Argument[]): CodeWords {
  const found: CodeWords = { code: [], file: undefined, module: false };
  const known = byProgram.get(program);
  if (known === undefined) return found;
  const { language, options, valued } = known;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const { value } = word;
    const takesCode = options.has(value) || isCodeCluster(value, options);
    if (value.startsWith('-') && value !== '-') {
      const equals = value.indexOf('=');
      if (equals > 0 && options.has(value.slice(0, equals))) {
        found.code.push({ ...word, value: value.slice(equals + 1) });
      } else if (takesCode) {
        if (!/^-\w*i$/.test(value)) found.code.push(...words.slice(at + 1, ++at + 1));
      } else if (attachedCode(value, options) !== undefined) {
        found.code.push({ ...word, value: attachedCode(value, options)! });
      } else if (valued.has(value)) {
        found.module ||= /^(-f|--file|-E|--exec)$/.test(value);
        at++;
      } else if (
        /^(-m|--test|--check|--version|-V|-v|--help|-h|-S.+|-t|--run|--watch)/.test(value)
      ) {
        found.module = true;
        break;
      }
      continue;
    }
    if (language.first === true && found.code.length === 0 && !found.module) found.code.push(word);
    else found.file ??= word;
    if (language.first !== true) break;
  }
  return found;
}

/** `-le` and `-0777ne` end in a letter that takes code. */
function isCodeCluster(value: string, options: ReadonlySet<string>): boolean {
  return /^-[A-Za-z0-9]+$/.test(value) && options.has(`-${value.at(-1)}`) && value.length < 10;
}

/** `-c'import os'` is one word. */
function attachedCode(value: string, options: ReadonlySet<string>): string | undefined {
  if (value.startsWith('--') || value.length < 4 || !options.has(value.slice(0, 2)))
    return undefined;
  return /[\s(;=.]/.test(value) ? value.slice(2) : undefined;
}

/** What code on the command line does, as far as its words tell. */
export function rateCode(
  program: string,
  code: Argument,
  subject: string,
  around: Surroundings,
): Finding[] {
  const language = languageOf(program);
  const tell = (rule: CodeRuleId): Finding => ({ rule, ...codeRules[rule], subject });
  if (language === undefined || code.value === hole || code.value.length > shellLimits.code) {
    return [tell('code-unread')];
  }
  const text = code.value.replace(/(['"])\s*\+\s*\1/g, '');
  const findings: Finding[] = [];
  if (code.runs || (!code.known && language.first !== true)) {
    if (code.runs || !onlyPlainHoles(code)) findings.push(tell('code-unread'));
  }
  if (language.runs.test(text)) findings.push(tell('code-runs'));
  if (language.network?.test(text) === true && !onlyLocal(text))
    findings.push(tell('code-network'));
  if (language.deletes?.test(text) === true) findings.push(tell('code-deletes'));
  if (language.environment?.test(text) === true) findings.push(tell('code-environment'));
  return [...findings, ...ratePaths(text, language, around)];
}

/** A variable in double quotes is mostly data: `python -c "print($N * 2)"`. It is code when it may be anything. */
function onlyPlainHoles(code: Argument): boolean {
  return code.variables.length > 0 && code.value.replaceAll(hole, '').trim().length >= 8;
}

const address = /\b(?:https?|wss?):\/\/([^/\s'"`:?#]+)/g;

function onlyLocal(text: string): boolean {
  const hosts = [...text.matchAll(address)].map((match) => match[1]!);
  const local = /^(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])$/;
  if (hosts.length > 0) return hosts.every((host) => local.test(host));
  return /['"](localhost|127\.0\.0\.1)['"]/.test(text) && !/['"][\w-]+\.[a-z]{2,}['"]/.test(text);
}

const quoted = /(["'`])((?:\\.|(?!\1)[^\\\n]){1,300})\1/g;
const pathsMax = 200;

function ratePaths(text: string, language: Language, around: Surroundings): Finding[] {
  const findings: Finding[] = [];
  let count = 0;
  for (const [, , written = ''] of text.matchAll(quoted)) {
    const path = unescaped(written);
    if (++count > pathsMax) break;
    if (!/[/~.]/.test(path) || /[\s(){};<>|]/.test(path) || /^(\/|\.|\.\.|https?:.*)$/.test(path))
      continue;
    const access = language.writes?.test(text) === true ? 'write' : 'read';
    const read = ratePath({ written: path }, 'read', around);
    const write = access === 'write' ? ratePath({ written: path }, 'write', around) : [];
    findings.push(...(read.length > 0 ? read : write).filter(({ risk }) => risk !== 'medium'));
  }
  return findings;
}

function unescaped(text: string): string {
  return text
    .replace(/\\x([0-9a-f]{2})|\\u\{?([0-9a-f]{2,6})\}?/gi, (_all, a?: string, b?: string) =>
      String.fromCodePoint(Math.min(0x10ffff, Number.parseInt(a ?? b ?? '0', 16))),
    )
    .replace(/\\(.)/g, '$1');
}
