import * as path from 'node:path';
import { type Answer, atMost, cellOf, quantile, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import type { DecisionTimes } from './child-tasks.js';
import { runRounds } from './rounds.js';
import { runTask } from './run-child.js';

const corpus = path.join(import.meta.dirname, '../../packages/policy/corpus/benign.txt');
const own = 'gatebook';
const columns = {
  shell: 'shell line, p50 µs',
  shellTail: 'shell line, p99 µs',
  tool: 'tool, p50 µs',
  toolTail: 'tool, p99 µs',
};
const limit = 'the parsing of the line, and Cedar, which gets the call as JSON.';

/** How long does the policy take to decide on a call? */
export async function gatePolicy({ plan, workspace }: Bench): Promise<Answer> {
  const calls = plan.gateCalls;
  const contender = {
    name: own,
    async measure() {
      const task = { kind: 'decide', calls, corpus } as const;
      const { shellUs, toolUs } = await runTask<DecisionTimes>(task, workspace.signal);
      return {
        [columns.shell]: quantile(shellUs, 0.5),
        [columns.shellTail]: quantile(shellUs, 0.99),
        [columns.tool]: quantile(toolUs, 0.5),
        [columns.toolTail]: quantile(toolUs, 0.99),
      };
    },
  };
  const rounds = await runRounds(plan, [contender], workspace.settle);
  const median = (column: string) => cellOf(rounds, own, column).median;
  return {
    question: 'gate-policy',
    title: 'A decision of the policy',
    method: [
      `The shipped policy and 20 rules; ${calls.toLocaleString('en')} decisions a round, after as many others, in a process of its own: of the lines of the benign corpus one after the other, and of calls to an MCP tool.`,
    ],
    tables: [tableOf('One decision', rounds)],
    targets: [
      atMost('a shell line, p50', median(columns.shell), 300, 'µs', limit),
      atMost('a tool, p50', median(columns.tool), 300, 'µs', limit),
    ],
  };
}
