import { type Answer, atMost, cellOf, quantile, ratioTable, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import type { Proved } from './child-tasks.js';
import { runRounds } from './rounds.js';
import { runTask, timeProgram } from './run-child.js';

const names = { own: 'gatebook', peer: 'grep -m 1' };
/** Each costs a process and, on average, half the log. */
const peerSearches = 3;

/** How long does the proof of one record take? */
export async function auditProve({ plan, workspace, random }: Bench): Promise<Answer> {
  const { dir, keysDir, files } = await workspace.bigLog();
  const seqs = (count: number) =>
    Array.from({ length: count }, () => random.between(0, plan.bigRecords));
  const own = {
    name: names.own,
    async measure() {
      const wanted = seqs(1 + plan.proofWarmUps + plan.proofs);
      const { coldMs, ms } = await runTask<Proved>(
        { kind: 'prove', dir, keysDir, seqs: wanted, warmUps: plan.proofWarmUps },
        workspace.signal,
      );
      return {
        'p50 ms': quantile(ms, 0.5),
        'p99 ms': quantile(ms, 0.99),
        'first in a process, ms': coldMs,
      };
    },
  };
  const peer = {
    name: names.peer,
    async measure() {
      const times: number[] = [];
      for (const seq of seqs(peerSearches)) {
        const script = 'cat "$@" | grep -F -m 1 -- "$0"';
        const args = ['-c', script, `{"seq":${seq},`, ...files];
        times.push(await timeProgram('sh', args, workspace.signal));
      }
      return { 'p50 ms': quantile(times, 0.5) };
    },
  };
  const rounds = await runRounds(plan, [own, peer], workspace.settle);
  const median = (column: string) => cellOf(rounds, names.own, column).median;
  return {
    question: 'audit-prove',
    title: 'Inclusion proof',
    method: [
      `proveRecord of ${plan.proofs} random records a round out of ${plan.bigRecords.toLocaleString('en')}, after ${plan.proofWarmUps} others, in a process of its own; the first in that process is told apart. Every proof is checked, outside the measured time. The page cache is warm.`,
      `Peer: finding the same kind of record, without proving anything, by cat of the segments into grep -F -m 1, ${peerSearches} a round.`,
    ],
    tables: [
      tableOf('One proof', rounds),
      ratioTable('One proof: ratios', rounds, names.own, [names.peer], ['p50 ms']),
    ],
    targets: [
      atMost(
        'one proof, p99',
        median('p99 ms'),
        10,
        'ms',
        'pauses that meet any record alike: the slowest of several runs lay at other records each time. The p50 is what the work takes.',
      ),
      atMost(
        'one proof, the first in a process',
        median('first in a process, ms'),
        10,
        'ms',
        'code that has not run yet: the later proofs of the same process take the p50.',
      ),
    ],
  };
}
