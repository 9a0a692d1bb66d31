import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, finished, linesOf, openBench } from './gatebook.js';

const event = (i: number): object => ({ event_type: 'test.event', details: { i } });

describe('gatebook audit tail', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
    await bench.record(Array.from({ length: 30 }, (_, i) => event(i)));
  });
  afterEach(() => bench.remove());

  it('shows the newest ten, or as many as asked', async () => {
    expect(linesOf((await bench.run(['audit', 'tail'])).stdout)).toHaveLength(11);
    const all = (await bench.run(['audit', '--format', 'json'])).stdout;
    const four = await bench.run(['audit', 'tail', '-n', '4', '--format', 'json']);
    expect(linesOf(four.stdout)).toEqual(linesOf(all).slice(-4));
    const none = await bench.run(['audit', 'tail', '-n', '0', '--format', 'json']);
    expect(none).toMatchObject({ code: 0, stdout: '' });
    const more = await bench.run(['audit', 'tail', '-n', '1000', '--format', 'json']);
    expect(more.stdout).toBe(all);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('follows new records until %s', async (signal) => {
    const child = bench.start(['audit', 'tail', '-f', '-n', '2', '--format', 'json']);
    const end = finished(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<{ event_type: string }> =>
      JSON.parse(String((await lines.next()).value)) as { event_type: string };
    await next();
    expect((await next()).event_type).toBe('log.closed');
    await bench.record([event(30), event(31)]);
    const seen: string[] = [];
    while (seen.at(-1) !== 'log.closed') seen.push((await next()).event_type);
    expect(seen.filter((type) => type === 'test.event')).toHaveLength(2);
    child.kill(signal);
    expect(await end).toMatchObject({ code: 0, stderr: '' });
  });

  it('stops following when its reader has gone', async () => {
    const child = bench.start(['audit', 'tail', '-f']);
    const end = finished(child);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    await bench.record([event(30)]);
    expect(await end).toMatchObject({ code: 0, stderr: '' });
  });
});
