import { logStatus } from '@gatebook/audit';
import { type Answer, atMost, cellOf, type Measures, ratioTable, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import type { LogFolders, Opened } from './child-tasks.js';
import { type Contender, runRounds } from './rounds.js';
import { killUnderLoad, runTask, timeProgram } from './run-child.js';

const names = {
  small: 'gatebook, a log of 10 records, after a clean close',
  closed: 'gatebook, after a clean close',
  killed: 'gatebook, after kill -9 at full load',
  threads: 'two empty threads of Node',
  peer: 'wc -l of the segments',
};
const smallRecords = 10;

/** How long does it take until a log is open? It makes the big log grow, so it is asked last. */
export async function auditOpen(bench: Bench): Promise<Answer> {
  const { plan, workspace } = bench;
  const big = await workspace.bigLog();
  const small = workspace.logFolders();
  const fill = { kind: 'append', ...small, records: smallRecords, inFlight: 1 } as const;
  await runTask(fill, workspace.signal);
  const open = async (log: LogFolders): Promise<Measures> => {
    const { dir, keysDir } = log;
    const { ms } = await runTask<Opened>({ kind: 'open', dir, keysDir }, workspace.signal);
    return { ms };
  };
  const contenders: Contender[] = [
    { name: names.small, measure: () => open(small) },
    { name: names.closed, measure: () => open(big) },
    {
      name: names.killed,
      async measure() {
        const pending = await killWriter(bench, big);
        return { ...(await open(big)), 'records behind the checkpoint': pending };
      },
    },
    {
      name: names.threads,
      async measure() {
        const { ms } = await runTask<Opened>({ kind: 'threads', threads: 2 }, workspace.signal);
        return { ms };
      },
    },
    {
      name: names.peer,
      async measure() {
        const { files } = await workspace.bigLog();
        return { ms: await timeProgram('wc', ['-l', ...files], workspace.signal) };
      },
    },
  ];
  const rounds = await runRounds(plan, contenders, workspace.settle);
  const peers = [names.peer, names.small, names.threads];
  const ratio = (own: string) => ratioTable('', rounds, own, peers, ['ms']).rows;
  return {
    question: 'audit-open',
    title: 'Open',
    method: [
      `A log of ${plan.bigRecords.toLocaleString('en')} records and more: each kill comes at a random place after ${plan.killAfter.join(' to ')} further records with 1,000 in flight. Each time is taken in a fresh process, from the call of openAuditLog to its resolution, the thread it starts included. The page cache is warm.`,
      'Peers: wc -l reads the segments once; a log of hardly any records shows what does not depend on size; two threads that do nothing show what of that is not ours.',
    ],
    tables: [
      tableOf('Open', rounds),
      { title: 'Open: ratios', rows: [...ratio(names.closed), ...ratio(names.killed)] },
    ],
    targets: [
      atMost(
        'open after a clean close',
        cellOf(rounds, names.closed, 'ms').median,
        150,
        'ms',
        'starting two threads, the one that writes and the one that lets other processes in, and loading their code; the size of the log hardly counts.',
      ),
      atMost(
        'open after kill -9',
        cellOf(rounds, names.killed, 'ms').median,
        500,
        'ms',
        'as above, and the records behind the last checkpoint are read and checked.',
      ),
    ],
  };
}

/** Leaves the log as a writer does that is killed at full load, and gives the number of records behind its checkpoint. */
async function killWriter({ plan, workspace, random }: Bench, log: LogFolders): Promise<number> {
  const { dir, keysDir } = log;
  const task = { kind: 'append', dir, keysDir, records: 10_000_000, inFlight: 1_000 } as const;
  const records = random.between(...plan.killAfter);
  await killUnderLoad(task, records, random.between(0, plan.killWithinMs), workspace.signal);
  return (await logStatus({ dir, keysDir })).pending;
}
