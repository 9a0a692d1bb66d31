import { type Answer, atLeast, cellOf, type Measures, ratioTable, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import { runRounds } from './rounds.js';
import { timeProgram } from './run-child.js';
import { verifyContender } from './verify-contender.js';

const names = { public: 'gatebook, public', auditor: 'gatebook, auditor', peer: 'sha256sum' };

const verifyLimit =
  "the processors, all of which it uses: hashing (twice for the auditor), the regular expression that knows a line's form, and cutting the lines out. The ratio to sha256sum says what hashing alone would take of one of them.";

/** How fast is a log verified? */
export async function auditVerify({ plan, workspace }: Bench): Promise<Answer> {
  const { bytes, files } = await workspace.bigLog();
  const measures = (records: number, ms: number): Measures => ({
    'records/s': (records / ms) * 1_000,
    'MB/s': bytes / ms / 1_000,
    s: ms / 1_000,
  });
  const levels = [
    { name: names.public, auditor: false },
    { name: names.auditor, auditor: true },
  ];
  const rounds = await runRounds(
    plan,
    [
      ...levels.map(({ name, auditor }) =>
        verifyContender(name, auditor, plan, workspace, ({ records, ms, cpuMs }) => ({
          ...measures(records, ms),
          'CPU µs/record': (cpuMs / records) * 1_000,
        })),
      ),
      {
        name: names.peer,
        async measure() {
          const ms = await timeProgram('sha256sum', files, workspace.signal);
          return measures(plan.bigRecords, ms);
        },
      },
    ],
    workspace.settle,
  );
  const ratio = (own: string) => ratioTable('', rounds, own, [names.peer], ['MB/s']).rows;
  const median = (own: string) => cellOf(rounds, own, 'records/s').median;
  return {
    question: 'audit-verify',
    title: 'Verify',
    method: [
      `A log of ${plan.bigRecords.toLocaleString('en')} records, ${Math.round(bytes / 1e6)} MB, segments: ${files.length}; in the page cache.`,
      `gatebook: verifyLog with ${plan.threads} threads in a fresh process, from the call to the verdict; public checks structure, tree and signatures, auditor the HMAC chain too.`,
      'Peer: one sha256sum process over the same files, one thread, from its start to its end.',
    ],
    tables: [
      tableOf('Verify', rounds),
      { title: 'Verify: ratios', rows: [...ratio(names.public), ...ratio(names.auditor)] },
    ],
    targets: [
      atLeast('verify, public', median(names.public), 300_000, 'records/s', verifyLimit),
      atLeast('verify, auditor', median(names.auditor), 200_000, 'records/s', verifyLimit),
    ],
  };
}
