import { fileRules } from './files.js';
import { gitRules } from './git.js';
import { networkRules } from './network.js';
import { packageRules } from './packages.js';
import { remoteRules } from './remote.js';
import type { ShellRule, Use } from './rule.js';
import { runRules } from './runs.js';
import { systemRules } from './system.js';

export const shellRules: readonly ShellRule[] = [
  ...fileRules,
  ...gitRules,
  ...systemRules,
  ...networkRules,
  ...packageRules,
  ...remoteRules,
  ...runRules,
];

/** Every use of a program, with the rule it belongs to. */
export const usesByProgram: ReadonlyMap<string, readonly PreparedUse[]> = index();

/** A use with its lists taken apart once. */
export interface PreparedUse {
  rule: ShellRule;
  use: Use;
  /** The words of each alternative subcommand. */
  subs: readonly (readonly string[])[] | undefined;
  options: readonly string[] | undefined;
}

function index() {
  const uses = new Map<string, PreparedUse[]>();
  for (const rule of shellRules) {
    for (const use of rule.uses) {
      const subs = use.sub?.split('|').map((each) => each.split(' '));
      const prepared = { rule, use, subs, options: use.options?.split(' ') };
      for (const program of use.programs.split(' ')) {
        const known = uses.get(program) ?? [];
        known.push(prepared);
        uses.set(program, known);
      }
    }
  }
  return uses;
}
