import { type Answer, atMost, cellOf, ratioTable, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import type { Hashed } from './child-tasks.js';
import { runRounds } from './rounds.js';
import { runTask } from './run-child.js';
import { verifyContender } from './verify-contender.js';

const names = {
  public: 'gatebook, public',
  auditor: 'gatebook, auditor',
  peer: 'node: createReadStream + createHash',
};
const column = 'peak MB';
const memoryLimit =
  'three heaps of Node, one a thread and one of the program; the log is read in chunks.';

/** How much memory does verifying take? */
export async function auditMemory({ plan, workspace }: Bench): Promise<Answer> {
  const { files, bytes } = await workspace.bigLog();
  const verifier = (name: string, auditor: boolean) =>
    verifyContender(name, auditor, plan, workspace, ({ peakBytes }) => ({
      [column]: peakBytes / 1e6,
    }));
  const peer = {
    name: names.peer,
    async measure() {
      const hashed = await runTask<Hashed>({ kind: 'hash', files }, workspace.signal);
      if (hashed.bytes !== bytes) throw new Error('the peer has not read all of the log');
      return { [column]: hashed.peakBytes / 1e6 };
    },
  };
  const rounds = await runRounds(
    plan,
    [verifier(names.public, false), verifier(names.auditor, true), peer],
    workspace.settle,
  );
  const ratio = (own: string) => ratioTable('', rounds, own, [names.peer], [column]).rows;
  const most = (own: string) => cellOf(rounds, own, column).max;
  return {
    question: 'audit-memory',
    title: 'Memory while verifying',
    method: [
      `The most memory a process of its own held while it verified ${plan.bigRecords.toLocaleString('en')} records with ${plan.threads} threads, Node itself included (VmHWM where there is /proc, else maxRSS). The target is for the worst round.`,
      'Peer: a Node process that streams the same files through SHA-256.',
    ],
    tables: [
      tableOf('Peak memory', rounds),
      { title: 'Peak memory: ratios', rows: [...ratio(names.public), ...ratio(names.auditor)] },
    ],
    targets: [
      atMost('memory while verifying, public', most(names.public), 150, 'MB', memoryLimit),
      atMost('memory while verifying, auditor', most(names.auditor), 150, 'MB', memoryLimit),
    ],
  };
}
