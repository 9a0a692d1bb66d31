import type { Finding } from '../finding.js';
import { notice } from './notices.js';
import { type PreparedUse, usesByProgram } from './rules/table.js';
import type { Subcommand } from './subcommand.js';
import type { Argument } from './word.js';

/** What the rules look at. */
export interface Invocation {
  program: string;
  args: readonly Argument[];
  sub: Subcommand;
  subject: string;
}

/** What the table says to a command; each rule once. */
export function matchRules(invocation: Invocation): Finding[] {
  const findings: Finding[] = [];
  const values = invocation.args.map(({ value }) => value);
  const line = lineOf(values, readWhole.has(invocation.program));
  const options = optionsOf(invocation.args);
  for (const prepared of usesByProgram.get(invocation.program) ?? []) {
    const { rule } = prepared;
    if (findings.some((finding) => finding.rule === rule.id)) continue;
    if (!fits(prepared, invocation, line, options)) continue;
    const { id, risk, reason } = rule;
    findings.push({ rule: id, risk, reason, subject: invocation.subject });
  }
  // What is too long to be matched whole is no everyday command.
  if (line.length >= lineMax) findings.push(notice('shell-too-long', invocation.subject));
  return findings;
}

/** Of these a word may be a text of statements. */
const readWhole: ReadonlySet<string> = new Set(
  'psql mysql mariadb sqlite3 duckdb clickhouse-client cqlsh sqlcmd bq mongosh mongo redis-cli valkey-cli gh'.split(
    ' ',
  ),
);

/** A long word counts by its ends: rules speak of names and options, not of messages. */
const wordMax = 1000;
const lineMax = 20_000;

function lineOf(values: readonly string[], whole: boolean): string {
  const words = values.map((value) =>
    whole || value.length <= wordMax * 2
      ? value
      : `${value.slice(0, wordMax)} ${value.slice(-wordMax)}`,
  );
  return words.join(' ').replace(/\s+/g, ' ').slice(0, lineMax);
}

function fits(
  { use, subs, options: wanted }: PreparedUse,
  { sub }: Invocation,
  whole: string,
  options: ReadonlySet<string>,
): boolean {
  let line = whole;
  if (subs !== undefined) {
    const words = subs.find((each) => each.every((word, at) => word === sub.verbs[at]));
    if (words === undefined) return false;
    line = afterWords(whole, sub.head, words);
  }
  if (use.head !== undefined && !use.head.test(sub.head)) return false;
  if (wanted !== undefined && !hasAny(wanted, options)) return false;
  if (use.line !== undefined && !use.line.test(line)) return false;
  return use.unless === undefined || !use.unless.test(line);
}

/** What follows the subcommand's words; options between them stay. */
function afterWords(line: string, head: string, words: readonly string[]): string {
  let rest = line.slice(head.length).trimStart();
  for (const word of words) {
    if (rest === word) return '';
    if (rest.startsWith(`${word} `)) rest = rest.slice(word.length + 1);
    else rest = rest.replace(` ${word}`, '');
  }
  return rest.trim();
}

function optionsOf(args: readonly Argument[]): Set<string> {
  const options = new Set<string>();
  for (const { value } of args) {
    if (value === '--') break;
    if (!/^-./.test(value)) continue;
    const name = value.split('=')[0]!;
    options.add(name);
    if (/^-[A-Za-z0-9]{2,}$/.test(name)) {
      for (const letter of name.slice(1)) options.add(`-${letter}`);
    } else if (!name.startsWith('--')) {
      // `-x'a command'` has its value with it.
      options.add(value.slice(0, 2));
    }
  }
  return options;
}

/** A long option may be cut short: `--forc`. Three letters are the least that counts. */
function hasAny(wanted: readonly string[], given: ReadonlySet<string>): boolean {
  for (const option of wanted) {
    if (given.has(option)) return true;
    if (!option.startsWith('--')) continue;
    for (const short of given) {
      if (short.length >= 5 && short.startsWith('--') && option.startsWith(short)) return true;
    }
  }
  return false;
}
