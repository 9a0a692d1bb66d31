import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, openBench, type Ran, type StoredEvent, start } from '../cli/gatebook.js';
import { SecondVerifier } from './verifiers.js';
import { openWallClock, type WallClock } from './wall-clock.js';

const dayS = 86_400;
const dayMs = dayS * 1_000;

interface ClockEvent extends StoredEvent {
  readonly timestamp: string;
}

describe('a wall clock that jumps (row 13)', () => {
  let bench: Bench;
  let clock: WallClock;
  let second: SecondVerifier;
  let counter = 0;

  const lines = (count: number): string =>
    Array.from(
      { length: count },
      () => `${JSON.stringify({ event_type: 'test.tick', details: { i: counter++ } })}\n`,
    ).join('');
  const session = async (offsetSeconds: number): Promise<Ran> => {
    await clock.set(offsetSeconds);
    return await bench.run(['record'], { input: lines(3), env: clock.env });
  };
  const jumps = async (): Promise<number[]> =>
    (await bench.records(['--type', 'log.clock_jump'])).map(({ details }) =>
      Number(details?.['jump_ms']),
    );

  beforeAll(async () => {
    bench = await openBench();
    clock = await openWallClock(bench.folder);
    second = new SecondVerifier();
  });
  afterAll(async () => {
    second.close();
    await bench.remove();
  });

  /** Both verifiers, both levels, with clocks of their own that are long before and long after. */
  const expectUntampered = async (): Promise<void> => {
    const keys = [`${bench.keys}/public-key`];
    const hmacKey = `${bench.keys}/initial-hmac-key`;
    for (const offset of [-20_000 * dayS, 0, 20_000 * dayS]) {
      await clock.set(offset);
      for (const flags of [[], ['--hmac-key', hmacKey]]) {
        const ran = await bench.run(['audit', 'verify', '--strict', ...flags], { env: clock.env });
        expect(ran.stdout).toMatch(/^ok: /);
        expect(ran.code).toBe(0);
      }
    }
    for (const brought of [{ keys }, { keys, hmacKey }]) {
      expect(await second.ask(bench.log, brought)).toMatchObject({ verdict: 'ok', exit: 0 });
    }
  };

  it('is recorded when it stands before the last record at an opening, and flagged by nobody', async () => {
    // Forward by less than a day, time may as well have passed; by more, this host's uptime says that it has not.
    for (const offset of [0, dayS / 2, 3 * dayS, -dayS]) {
      expect((await session(offset)).code).toBe(0);
    }
    await expectUntampered();
    const [forward, backward, ...more] = await jumps();
    expect(more).toEqual([]);
    expect(Math.abs(Number(forward) - 2.5 * dayMs)).toBeLessThan(60_000);
    expect(Math.abs(Number(backward) + 4 * dayMs)).toBeLessThan(60_000);
  });

  it('is recorded when it happens while the log is open, and flagged by nobody', async () => {
    const before = (await jumps()).length;
    await clock.set(-dayS);
    const child = start(['record', '--log', bench.log, '--keys', bench.keys], { env: clock.env });
    child.stderr.resume();
    const acknowledged = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const seqs: number[] = [];
    for (const offset of [-dayS, 2 * dayS, -dayS, -dayS + 1]) {
      await clock.set(offset);
      child.stdin.write(lines(3));
      for (let i = 0; i < 3; i++) {
        const { value } = await acknowledged.next();
        seqs.push((JSON.parse(String(value)) as { seq: number }).seq);
      }
    }
    child.stdin.end();
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    const [forward = 0, backward = 0, ...more] = (await jumps()).slice(before);
    // A second is no jump: clocks are adjusted all the time.
    expect(more).toEqual([]);
    expect(Math.abs(forward - 3 * dayMs)).toBeLessThan(60_000);
    expect(Math.abs(backward + 3 * dayMs)).toBeLessThan(60_000);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    await expectUntampered();
  });

  it('does not change the order, which is by seq, and removes nothing', async () => {
    const all = (await bench.records()) as ClockEvent[];
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, i) => i));
    const ticks = all.filter(({ event_type }) => event_type === 'test.tick');
    expect(ticks.map(({ details }) => details?.['i'])).toEqual(ticks.map((_, i) => i));
    expect(ticks).toHaveLength(counter);
    // The times did go back and forth, or nothing was tried.
    const times = ticks.map(({ timestamp }) => Date.parse(timestamp));
    expect(times.some((time, i) => time > (times[i + 1] ?? time) + dayMs)).toBe(true);
    expect(times.some((time, i) => time < (times[i + 1] ?? time) - dayMs)).toBe(true);
  });
});
