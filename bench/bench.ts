import type { Answer } from './answer.js';
import type { Plan } from './plan.js';
import type { Random } from './random.js';
import type { Workspace } from './workspace.js';

/** What every question is given. */
export interface Bench {
  readonly plan: Plan;
  readonly workspace: Workspace;
  readonly random: Random;
}

export type Question = (bench: Bench) => Promise<Answer>;
