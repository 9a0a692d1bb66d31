import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Folders, type Load, makeFolders, removeFolders, startLoad } from '../crash/load.js';
import { full, shareCounter } from '../crash/programs.js';
import { newSeed, randomFrom } from '../crash/random.js';
import { nextWriter, writerPid } from './writer-pid.js';

/** Processes over one log decide by one hook: what one of them is answered no other is, whoever of them dies. */

const seed = newSeed();
const random = randomFrom(seed);
const size = full ? 8 : 4;
const killsWanted = full ? 60 : 6;
/** Numbers that a holder may have set aside and not given when it is killed. */
const ahead = 100;
const minutes = 60_000;

let folders: Folders;
let everybody: Load[];

beforeEach(() => {
  folders = makeFolders();
  everybody = [];
  console.log(`shared counter: seed ${seed} (GATEBOOK_SEED=${seed} gives the same delays)`);
});

afterEach(() => {
  for (const one of everybody) one.process.kill('SIGKILL');
  removeFolders(folders);
});

function start(...more: readonly string[]): Load {
  const { root, log, keys } = folders;
  const args = ['--log', log, '--keys', keys, '--state', join(root, 'state'), ...more];
  const load = startLoad([process.execPath, shareCounter, ...args]);
  everybody.push(load);
  return load;
}

function running(): Load[] {
  return everybody.filter(
    ({ process: { exitCode, signalCode } }) => exitCode === null && signalCode === null,
  );
}

function kill(pid: number | undefined): boolean {
  return (
    running()
      .find((one) => one.process.pid === pid)
      ?.process.kill('SIGKILL') ?? false
  );
}

/** All lines of one kind that were said by whatever process. */
function said(pattern: RegExp): RegExpExecArray[] {
  return everybody.flatMap(({ lines }) =>
    lines.map((line) => pattern.exec(line)).filter((found) => found !== null),
  );
}

function numbers(): number[] {
  return said(/^(\d+) [0-9a-f]{32}$/).map(([, number]) => Number(number));
}

async function until(holds: () => boolean, patienceMs: number): Promise<boolean> {
  for (const end = performance.now() + patienceMs; performance.now() < end; await sleep(10)) {
    if (holds()) return true;
  }
  return holds();
}

test(
  `a counter of ${size} processes, of which the one that has it is killed ${killsWanted} times, gives no number twice`,
  async () => {
    const go = ['--in-flight', '16', '--pause-ms', '5'];
    for (let at = 0; at < size; at++) start(...go);
    let kills = 0;
    for (
      const end = performance.now() + 10 * minutes;
      kills < killsWanted && performance.now() < end;
    ) {
      await sleep(100 + random.float() * 400);
      const holder = writerPid(folders.log);
      const before = numbers().length;
      if (!kill(holder)) continue;
      kills++;
      start(...go);
      expect(
        await nextWriter(folders.log, holder, 20_000),
        'somebody takes the log over',
      ).toBeDefined();
      expect(
        await until(() => numbers().length > before + 50, 30_000),
        'the counting goes on',
      ).toBe(true);
    }
    expect(kills).toBe(killsWanted);
    // The others go on to the end of their share and close their logs.
    const finishing = start('--numbers', '200', ...go);
    expect(await finishing.ended).toBe(0);
    for (const one of running()) one.process.kill('SIGKILL');
    const given = numbers();
    expect(given.length).toBe(new Set(given).size);
    expect(said(/^refused/).map(([line]) => line)).toEqual([]);
    // Each of the others had 16 messages there at the most.
    expect(said(/^lost unknown_outcome$/).length).toBeLessThanOrEqual(kills * size * 16);
    // Each killed process took what it had in flight with it, and what its counter had set aside.
    const lost = said(/^lost unknown_outcome$/).length;
    const unprinted = (kills + size + 1) * 16;
    expect(Math.max(...given) + 1 - given.length).toBeLessThanOrEqual(
      lost + unprinted + (kills + 1) * ahead,
    );
    console.log(
      `shared counter: ${given.length} numbers, ${lost} answers lost, ${kills} holders killed`,
    );
  },
  15 * minutes,
);

test(
  'a holder that closes its log leaves the next where it stood, and nothing is lost',
  async () => {
    const share = ['--in-flight', '16', '--numbers', '400', '--pause-ms', '1'];
    for (let at = 0; at < size; at++) start(...share);
    for (const one of everybody) expect(await one.ended, one.errors()).toBe(0);
    const given = numbers().sort((a, b) => a - b);
    expect(said(/^(lost|refused)/).map(([line]) => line)).toEqual([]);
    expect(given).toEqual(given.map((_, at) => at));
    expect(given.length).toBeGreaterThanOrEqual(size * 400);
  },
  5 * minutes,
);

test(
  'a process that is killed has left, as its holder hears once',
  async () => {
    const holder = start('--pause-ms', '20');
    await holder.until((line) => line.startsWith('opened'));
    const others = [start('--pause-ms', '20'), start('--pause-ms', '20')];
    for (const one of others) await one.until((line) => /^\d/.test(line));
    const [first, second] = others.map((one) => one.process.pid!);
    const since = performance.now();
    kill(first);
    await holder.until((line) => line.startsWith(`left ${first}`));
    expect(performance.now() - since).toBeLessThan(5_000);
    // The next holder hears of who goes under its hand, and of nobody else.
    kill(holder.process.pid);
    const third = start('--pause-ms', '20');
    await third.until((line) => /^\d/.test(line));
    await sleep(1_500);
    expect(said(/^left (\d+)/).map(([, pid]) => Number(pid))).toEqual([first]);
    const [next, other] =
      writerPid(folders.log) === second ? [others[1]!, third] : [third, others[1]!];
    kill(other.process.pid);
    await next.until((line) => line.startsWith(`left ${other.process.pid}`));
    expect(said(/^left/)).toHaveLength(2);
    expect(said(/^host/).length).toBeGreaterThan(0);
  },
  2 * minutes,
);
