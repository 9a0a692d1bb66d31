import { type Guarded, guarded } from './guarded.js';
import type { Argument } from './word.js';
import { setOf } from './words-before.js';

interface Known {
  guard: Guarded;
  valued: ReadonlySet<string>;
  plain: ReadonlySet<string>;
}

const byProgram = new Map<string, Known>();
for (const guard of guarded) {
  for (const program of guard.programs.split(' ')) {
    byProgram.set(program, { guard, valued: setOf(guard.valued), plain: setOf(guard.plain) });
  }
}

export function guardOf(program: string): Guarded | undefined {
  return byProgram.get(program)?.guard;
}

/** A command taken apart at its subcommand. */
export interface Subcommand {
  /** The words before it, joined. */
  head: string;
  /** The words that are no options and no values of known options, from the subcommand on. */
  verbs: string[];
  /** Of those, the ones before the first option that is not known, which may take the next as its value. */
  sure: number;
  /** An option before the subcommand that is not known. */
  odd: string | undefined;
}

export function subcommandOf(program: string, args: readonly Argument[]): Subcommand {
  const known = byProgram.get(program);
  const valued = known?.valued ?? none;
  const plain = known?.plain ?? none;
  const result: Subcommand = { head: '', verbs: [], sure: -1, odd: undefined };
  const head: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const { value } = args[at]!;
    if (value === '--') {
      result.verbs.push(...args.slice(at + 1).map((arg) => arg.value));
      break;
    }
    if (!/^-./.test(value)) {
      result.verbs.push(value);
      continue;
    }
    const before = result.verbs.length === 0;
    if (before) head.push(value);
    const name = value.split('=')[0]!;
    if (valued.has(value)) {
      at++;
      if (before && args[at] !== undefined) head.push(args[at]!.value.toLowerCase());
    } else if (!valued.has(name) && !isPlain(name, plain, valued)) {
      if (before) result.odd ??= value;
      else if (result.sure < 0) result.sure = result.verbs.length;
    }
  }
  result.head = head.join(' ');
  if (result.sure < 0) result.sure = result.verbs.length;
  return result;
}

const none: ReadonlySet<string> = new Set();

function isPlain(option: string, plain: ReadonlySet<string>, valued: ReadonlySet<string>): boolean {
  if (plain.has(option)) return true;
  if (option.startsWith('--')) return false;
  // `-n` of `-nfoo` has its value with it; `-qy` is `-q` and `-y`.
  if (valued.has(option.slice(0, 2))) return true;
  return [...option.slice(1)].every((letter) => plain.has(`-${letter}`));
}

export type GuardVerdict = 'low' | 'medium' | 'high';

/** What a program of many subcommands does, by its lists. */
export function judgeSubcommand(
  guard: Guarded,
  sub: Subcommand,
  args: readonly Argument[],
): GuardVerdict {
  if (sub.odd !== undefined) return 'high';
  if (guard.dry !== undefined && args.some(({ value }) => guard.dry?.test(value))) return 'medium';
  const sure = sub.verbs.slice(0, sub.sure).join(' ');
  const all = sub.verbs.join(' ');
  const fits = (list: RegExp | undefined): boolean => list?.test(sure) === true && list.test(all);
  if (fits(guard.low)) return 'low';
  return fits(guard.medium) ? 'medium' : 'high';
}
