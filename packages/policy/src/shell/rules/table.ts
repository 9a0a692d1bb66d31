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
export const usesByProgram: ReadonlyMap<string, readonly { rule: ShellRule; use: Use }[]> = index();

function index() {
  const uses = new Map<string, { rule: ShellRule; use: Use }[]>();
  for (const rule of shellRules) {
    for (const use of rule.uses) {
      for (const program of use.programs.split(' ')) {
        const known = uses.get(program) ?? [];
        known.push({ rule, use });
        uses.set(program, known);
      }
    }
  }
  return uses;
}
