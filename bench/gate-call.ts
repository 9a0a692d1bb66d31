import { type Answer, atMost, cellOf, quantile, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import type { CallTimes, Variables } from './child-tasks.js';
import { twoAppends } from './gate-appends.js';
import { limitVariables, ruleVariables } from './gate-rules.js';
import { type Contender, runRounds } from './rounds.js';
import { runTask } from './run-child.js';

const off = {
  log: { GATEBOOK_SECURITY_AUDIT_ENABLED: 'false' },
  policy: { GATEBOOK_SECURITY_POLICY_ENABLED: 'false' },
};
const names = {
  rest: 'without log and policy',
  policy: 'without log',
  all: 'everything',
};
const column = 'p50 µs';

/** How long does a call through the gate of a program take? */
export async function gateCall(bench: Bench): Promise<Answer> {
  const { plan, workspace } = bench;
  const calls = plan.gateCalls;
  const contender = (name: string, env: Variables): Contender => ({
    name,
    async measure() {
      const folders = workspace.logFolders();
      const home = { XDG_CONFIG_HOME: workspace.path() };
      const task = { kind: 'gate-call', calls, env: { ...home, ...env }, ...folders } as const;
      const { us } = await runTask<CallTimes>(task, workspace.signal);
      return { [column]: quantile(us, 0.5), 'p99 µs': quantile(us, 0.99) };
    },
  });
  const appends = twoAppends(bench, column);
  const rounds = await runRounds(
    plan,
    [
      contender(names.rest, { ...limitVariables, ...off.log, ...off.policy }),
      contender(names.policy, { ...limitVariables, ...ruleVariables, ...off.log }),
      contender(names.all, { ...limitVariables, ...ruleVariables }),
      appends,
    ],
    workspace.settle,
  );
  return {
    question: 'gate-call',
    title: 'A call through createGate',
    method: [
      `${calls.toLocaleString('en')} calls a round, one after the other, after as many others, in a process of its own that holds the log; two limits and the breaker are on, the policy has the shipped rules and 20 more. The tool does nothing.`,
      'The records that a call leaves are synced one after the other; two records by @gatebook/audit are what these syncs take.',
    ],
    tables: [tableOf('One call', rounds)],
    targets: [
      atMost(
        'a call without log and policy, p50',
        cellOf(rounds, names.rest, column).median,
        30,
        'µs',
        'the messages to what the gates share, which are JSON also within one process.',
      ),
    ],
  };
}
