import { quantile } from './answer.js';
import type { Bench } from './bench.js';
import type { CallTimes } from './child-tasks.js';
import type { Contender } from './rounds.js';
import { runTask } from './run-child.js';

/** What the syncs of a call's two records take, one after the other, without a gate: in this column. */
export function twoAppends({ plan, workspace }: Bench, column: string): Contender {
  return {
    name: 'two records by @gatebook/audit',
    async measure() {
      const task = {
        kind: 'one-by-one',
        calls: plan.gateCalls,
        ...workspace.logFolders(),
      } as const;
      const { us } = await runTask<CallTimes>(task, workspace.signal);
      return { [column]: 2 * quantile(us, 0.5) };
    },
  };
}
