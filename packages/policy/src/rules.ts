import { callRules } from './call/rate-call.js';
import { sensitivePlaces } from './paths/sensitive.js';
import type { Risk } from './risk.js';
import { deletionRules } from './shell/deletion.js';
import { guarded } from './shell/guarded.js';
import { codeRules } from './shell/languages.js';
import { notices } from './shell/notices.js';
import { shellRules } from './shell/rules/table.js';
import { transferRules } from './shell/transfer.js';
import { variableRules } from './shell/variables.js';

export type RuleArea = 'shell' | 'program' | 'variable' | 'path' | 'call';

/** What a rule stands for, as documents and programs show it. */
export interface RuleDescription {
  id: string;
  area: RuleArea;
  /** The highest risk that it gives. */
  risk: Risk;
  reason: string;
  /** The programs that it speaks of; empty for what is no matter of one program. */
  programs: string[];
}

/** Every rule that a rating can name, once. */
export function ruleDescriptions(): RuleDescription[] {
  const all: RuleDescription[] = [];
  const add = (
    area: RuleArea,
    id: string,
    risk: Risk,
    reason: string,
    programs: string[],
  ): void => {
    const known = all.find((rule) => rule.id === id);
    if (known === undefined) all.push({ id, area, risk, reason, programs: [...new Set(programs)] });
    else known.programs = [...new Set([...known.programs, ...programs])];
  };
  for (const [id, { risk, reason }] of Object.entries({
    ...notices,
    ...deletionRules,
    ...transferRules,
    ...codeRules,
  })) {
    add('shell', id, risk, reason, []);
  }
  for (const { id, risk, reason, uses } of shellRules) {
    add(
      'program',
      id,
      risk,
      reason,
      uses.flatMap(({ programs }) => programs.split(' ')),
    );
  }
  for (const { id, reason, programs } of guarded)
    add('program', id, 'high', reason, programs.split(' '));
  for (const { id, risk, reason } of variableRules) add('variable', id, risk, reason, []);
  for (const { id, reason, write } of sensitivePlaces) {
    if (write !== 'low') add('path', id, write, reason, []);
  }
  for (const [id, { risk, reason }] of Object.entries(pathRules)) add('path', id, risk, reason, []);
  for (const [id, { risk, reason }] of Object.entries(callRules)) add('call', id, risk, reason, []);
  return all;
}

const pathRules = {
  'path-gate': {
    risk: 'critical',
    reason: 'belongs to the gate itself: its settings, keys or log',
  },
  'path-outside': { risk: 'high', reason: 'lies outside the folder that the agent works in' },
} as const satisfies Record<string, { risk: Risk; reason: string }>;

const titles: Record<RuleArea, string> = {
  shell: 'Commands, whatever the program',
  program: 'Uses of programs',
  variable: 'Variables of the environment',
  path: 'Paths',
  call: 'Calls of tools',
};

/** The part of docs/policy.md that is made from the tables. */
export function ruleManual(): string {
  const rules = ruleDescriptions();
  const areas = Object.entries(titles).map(([area, title]) => {
    const rows = rules
      .filter((rule) => rule.area === area)
      .map(
        ({ id, risk, reason, programs }) =>
          `| \`${id}\` | ${risk} | ${reason} | ${shown(programs)} |`,
      );
    return `### ${title}\n\n| Rule | Up to | Why | Programs |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return areas.join('\n');
}

const shownMax = 8;

function shown(programs: readonly string[]): string {
  const first = programs.slice(0, shownMax).map((program) => `\`${program}\``);
  const more = programs.length - first.length;
  return more > 0 ? `${first.join(' ')} and ${more} more` : first.join(' ');
}
