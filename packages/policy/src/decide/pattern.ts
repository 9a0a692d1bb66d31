import type { CallRating } from '../call/rate-call.js';
import { PolicyError } from '../errors.js';
import { canonicalPath, type Surroundings } from '../paths/canonical.js';
import { isAtLeast } from '../risk.js';
import type { RatedCommand } from '../shell/rate.js';
import { compileGlob } from './glob.js';

export type PatternKind = 'exec' | 'read' | 'write' | 'path' | 'tool';

/** One entry of a list, such as `exec:rm *`. */
export interface Pattern {
  /** As it was written. */
  text: string;
  kind: PatternKind;
  glob: string;
  /** Whether it stands for a text: a command, a path or a tool's name. */
  matches: (text: string) => boolean;
}

const kinds: readonly PatternKind[] = ['exec', 'read', 'write', 'path', 'tool'];
export const patternLengthMax = 1000;
export const patternsMax = 1000;

/**
 * @param where the list and place, for the error's message: `deny[0]`.
 * @throws PolicyError `bad_pattern`
 */
export function parsePattern(text: string, where: string, around: Surroundings = {}): Pattern {
  const at = text.indexOf(':');
  const kind = kinds.find((each) => each === text.slice(0, at));
  const glob = text.slice(at + 1).trim();
  if (kind === undefined) {
    throw new PolicyError(
      'bad_pattern',
      `${where}: ${JSON.stringify(text)} has no known kind; write exec:, read:, write:, path: or tool: before the pattern.`,
    );
  }
  if (glob === '' || text.length > patternLengthMax) {
    throw new PolicyError(
      'bad_pattern',
      `${where}: ${JSON.stringify(text.slice(0, 60))} is empty or longer than ${patternLengthMax} characters.`,
    );
  }
  return { text, kind, glob, matches: matcherOf(kind, glob, around) };
}

/** Whether anything in the call is what the pattern speaks of: for lists that deny or ask. */
export function touches(
  pattern: Pattern,
  name: string,
  rating: CallRating,
  around: Surroundings,
): boolean {
  switch (pattern.kind) {
    case 'tool':
      return matchesTool(pattern, name);
    case 'exec':
      return rating.commands.some((command) =>
        spellings(command).some((text) => pattern.matches(text)),
      );
    default:
      return rating.paths.some(({ path, access }) => fitsPath(pattern, path, access, around));
  }
}

/**
 * Whether all that the call does is among what the patterns speak of: for lists that allow. A command is taken as it
 * is written, so that `./git` is no `git`. What stands beside the commands (redirections to places that matter,
 * variables, text that was not read) is covered by no pattern, and critical things only by one without `*`.
 */
export function covers(
  patterns: readonly Pattern[],
  name: string,
  rating: CallRating,
  around: Surroundings,
): boolean {
  if (!rating.complete) return false;
  if (patterns.some((each) => each.kind === 'tool' && matchesTool(each, name))) {
    return rating.kind !== 'exec' && rating.risk !== 'critical';
  }
  if (rating.kind === 'file') {
    const paths = patterns.filter(({ kind }) => kind !== 'exec' && kind !== 'tool');
    return (
      rating.risk !== 'critical' &&
      rating.paths.every(({ path, access }) =>
        paths.some((each) => fitsPath(each, path, access, around)),
      )
    );
  }
  if (rating.kind !== 'exec' || rating.commands.length === 0) return false;
  const exec = patterns.filter(({ kind }) => kind === 'exec');
  const inCommands = rating.commands.flatMap(({ findings }) => findings);
  const beside = rating.findings.filter(
    (finding) =>
      !inCommands.some((each) => each.rule === finding.rule && each.subject === finding.subject),
  );
  if (beside.some(({ risk }) => isAtLeast(risk, 'high'))) return false;
  return rating.commands.every((command) => coversCommand(exec, command));
}

function coversCommand(patterns: readonly Pattern[], command: RatedCommand): boolean {
  if (command.beside) return false;
  if (command.program === '') return !isAtLeast(command.risk, 'high');
  return patterns.some((pattern) => {
    if (command.risk === 'critical' && /[*?]/.test(pattern.glob)) return false;
    return pattern.matches(command.text);
  });
}

/** As it is written, and with the program's bare name. */
function spellings(command: RatedCommand): string[] {
  const bare = command.program.split('/').at(-1) ?? '';
  const at = command.text.indexOf(command.program);
  const rest = at < 0 ? '' : command.text.slice(at + command.program.length);
  return [command.text, `${bare}${rest}`];
}

function matcherOf(kind: PatternKind, glob: string, around: Surroundings): Pattern['matches'] {
  if (kind === 'exec') {
    const whole = compileGlob(glob);
    // `rm *` is `rm` with any words, or with none.
    const bare = glob.endsWith(' *') ? compileGlob(glob.slice(0, -2)) : undefined;
    return (text) => whole(text) || bare?.(text) === true;
  }
  if (kind === 'tool') return compileGlob(glob);
  return compileGlob(canonicalPath(glob, around), true);
}

function matchesTool({ matches }: Pattern, name: string): boolean {
  return matches(name) || matches(name.slice(name.lastIndexOf('/') + 1));
}

function fitsPath(
  { kind, matches }: Pattern,
  path: string,
  access: string,
  around: Surroundings,
): boolean {
  if (kind === 'exec' || kind === 'tool') return false;
  if (kind !== 'path' && kind !== (access === 'write' ? 'write' : 'read')) return false;
  return matches(canonicalPath(path, around));
}
