import * as fs from 'node:fs';
import * as path from 'node:path';
import { type Answer, atLeast, type Measures, ratioOf, ratioTable, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import type { Load } from './plan.js';
import { runRounds } from './rounds.js';
import { shareLoad } from './run-child.js';

const many = 8;
const one = 'one process';
const eight = `${many} processes`;

/** What does it cost that many processes write one chain? */
export async function auditProcesses({ plan, workspace }: Bench): Promise<Answer> {
  const load = plan.loads.at(-1)!;
  const share: Load = {
    ...load,
    inFlight: Math.ceil(load.inFlight / many),
    warmUp: Math.ceil(load.warmUp / many),
    recordsMax: Number.MAX_SAFE_INTEGER,
  };
  const whole = { ...load, recordsMax: Number.MAX_SAFE_INTEGER };
  const contender = (name: string, loads: readonly Load[]) => ({
    name,
    measure: async (): Promise<Measures> => {
      const place = workspace.path();
      const folders = { dir: path.join(place, 'log'), keysDir: path.join(place, 'keys') };
      const tasks = loads.map((load) => ({ kind: 'share' as const, ...folders, load }));
      const shares = await shareLoad(tasks, workspace.signal);
      fs.rmSync(place, { recursive: true, force: true });
      const records = shares.reduce((sum, done) => sum + done.records, 0);
      const cpuUs = shares.reduce((sum, done) => sum + done.cpuUs, 0);
      const ms = Math.max(...shares.map((done) => done.ms));
      return { 'records/s': (records / ms) * 1_000, 'CPU µs/record': cpuUs / records };
    },
  });
  const contenders = [
    contender(one, [whole]),
    contender(
      eight,
      Array.from({ length: many }, () => share),
    ),
  ];
  const rounds = await runRounds(plan, contenders, workspace.settle);
  const columns = ['records/s', 'CPU µs/record'];
  const ratio = ratioOf(rounds, eight, one, 'records/s').median;
  return {
    question: 'audit-processes',
    title: 'Many processes, one chain',
    method: [
      `One process with ${whole.inFlight.toLocaleString('en')} appends in flight against ${many} processes with ${share.inFlight} each, on a log of their own in every round, for ${load.msMax / 1_000} s. One of the ${many} writes for the others, which reach it through its socket.`,
      'Each process is started, opens the log and warms up uncounted; all begin together. CPU is user and system time of all threads of all processes.',
    ],
    tables: [
      tableOf('Appending together', rounds),
      ratioTable('Appending together: ratios', rounds, eight, [one], columns),
    ],
    targets: [atLeast(`throughput of ${many} processes ÷ one process's`, ratio, 0.7, '×')],
  };
}
