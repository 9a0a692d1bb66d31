import * as fs from 'node:fs';
import * as path from 'node:path';
import { openAuditLog } from '@gatebook/audit';
import { type Answer, type Measures, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import { keepInFlight } from './drive.js';
import { event } from './event.js';
import type { Load } from './plan.js';
import { runRounds } from './rounds.js';
import { threadTimes } from './thread-times.js';

/** Where does the time of an append go, when many are in flight? */
export async function auditProfile({ plan, workspace }: Bench): Promise<Answer> {
  const load = plan.loads.at(-1)!;
  const contender = {
    name: 'gatebook',
    measure: async (): Promise<Measures> => {
      const place = workspace.path();
      const measures = await profile(load, place);
      fs.rmSync(place, { recursive: true, force: true });
      return measures;
    },
  };
  const rounds = await runRounds(plan, [contender], workspace.settle);
  return {
    question: 'audit-profile',
    title: 'Where the time of an append goes',
    method: [
      `${load.inFlight.toLocaleString('en')} appends in flight, as above. Processor time of each thread as the kernel counts it, a record; "wall" is how long a record takes, so that a thread near it is what limits.`,
      'caller: JSON, promises and the messages, on the thread of the program. writer: hashing, chaining, the write and the sync. V8: the threads on which it collects garbage and compiles.',
    ],
    tables: [tableOf('Microseconds a record, by thread', rounds)],
    targets: [],
  };
}

/** The log's two threads are the first that its opening adds: the writer, then the door. */
async function profile(load: Load, place: string): Promise<Measures> {
  const before = threadTimes();
  const folders = { dir: path.join(place, 'log'), keysDir: path.join(place, 'keys') };
  const log = await openAuditLog(folders);
  try {
    const append = async (): Promise<void> => {
      await log.append(event);
    };
    await keepInFlight({ ...load, recordsMax: load.warmUp }, append);
    const own = [...threadTimes().keys()].filter((id) => !before.has(id));
    const [writer, door] = own;
    const start = threadTimes();
    const { records, ms } = await keepInFlight(load, append);
    const end = threadTimes();
    const used = (id: number | undefined): number =>
      id === undefined ? 0 : ((end.get(id) ?? 0) - (start.get(id) ?? 0)) / records;
    const others = [...end.keys()].filter((id) => ![process.pid, writer, door].includes(id));
    return {
      wall: (ms * 1_000) / records,
      caller: used(process.pid),
      writer: used(writer),
      door: used(door),
      V8: others.reduce((sum, id) => sum + used(id), 0),
    };
  } finally {
    await log.close();
  }
}
