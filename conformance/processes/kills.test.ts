import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { promisedBy, readRecords } from '../crash/book.js';
import { Checker } from '../crash/checker.js';
import { inspect } from '../crash/inspection.js';
import { makeFolders, removeFolders } from '../crash/load.js';
import { full } from '../crash/programs.js';
import { newSeed, randomFrom } from '../crash/random.js';
import { Fleet } from './fleet.js';
import { afterGrowth, nextWriter, writerPid } from './writer-pid.js';

/** Row 12: many processes, one chain; whoever writes is killed again and again, also while it is taking over. */

const seed = newSeed();
const random = randomFrom(seed);
const size = full ? 8 : 4;
const share = full ? 50_000 : 2_000;
const killsWanted = full ? 100 : 8;
/** At most so long between one kill and the next; some come right after another. */
const killEveryMs = 1_500;
const hour = 3_600_000;
/** Small segments and short epochs, so that many instants fall into a seal or a key move. */
const busy = ['--segment-bytes', '1048576', '--epoch-ms', '300', '--checkpoint-ms', '50'];

let checker: Checker;

beforeAll(() => {
  checker = new Checker();
  console.log(`processes: seed ${seed} (GATEBOOK_SEED=${seed} gives the same delays)`);
});

afterAll(() => checker.end());

test(
  `row 12: ${size} processes, the writer killed at least ${killsWanted} times: one chain, nothing acknowledged lost or doubled`,
  async () => {
    const folders = makeFolders();
    // Slow enough that the kills find it still running; what is in flight is many records all the same.
    const pause = full ? '40' : '100';
    const fleet = new Fleet(folders, size, share, [
      ...['--in-flight', '64', '--pause-ms', pause, ...busy],
    ]);
    let kills = 0;
    let duringTakeover = 0;
    const takeovers: number[] = [];
    try {
      while (!fleet.done && kills < killsWanted) {
        await sleep(random.float() * killEveryMs);
        // In that moment records of others are written, and nobody has been told.
        const written = random.float() < 0.6;
        if (written) afterGrowth(folders.log, 200);
        const writer = writerPid(folders.log);
        if (writer === undefined || !fleet.kill(writer)) continue;
        kills++;
        const since = performance.now();
        // The next one has the lock and is not ready yet, or not for long.
        const next = await nextWriter(folders.log, writer, 5_000);
        if (next !== undefined) takeovers.push(performance.now() - since);
        if (next === undefined || random.float() < 0.5) continue;
        await sleep(random.float() * 60);
        if (fleet.kill(next)) {
          kills++;
          duringTakeover++;
        }
      }
      await fleet.ended();
      console.log(
        `processes: ${kills} writers killed, ${duringTakeover} of them within 60 ms of taking over; ${fleet.started} processes; the lock was taken again within ${takeovers.map(Math.round).join(', ')} ms`,
      );
      expect(fleet.failures).toEqual([]);
      const promised = promisedBy(fleet.said);
      expect(promised.acknowledged.size).toBeGreaterThanOrEqual(size * share);
      expect([...promised.refused]).toEqual([]);
      expect(await inspect(folders, fleet.said, checker)).toEqual([]);
      expect(kills).toBeGreaterThanOrEqual(killsWanted);
      // How long the others take follows from what else the machine does; the design is shown by the quickest.
      expect(Math.min(...takeovers)).toBeLessThan(1_000);
      const openings = readRecords(folders.log).filter((one) => one.event_type === 'log.opened');
      // The checker opens it once more.
      expect(openings.length).toBeLessThanOrEqual(fleet.started + kills + 1);
    } finally {
      for (const pid of fleet.pids) fleet.kill(pid);
      removeFolders(folders);
    }
  },
  hour,
);
