import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, openBench } from './gatebook.js';

describe('segments', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench.remove());

  it('are sealed at --max-size-mb, each with a checkpoint, and verify as one log', async () => {
    const line = JSON.stringify({ event_type: 'test.event', details: { text: 'x'.repeat(400) } });
    const input = `${line}\n`.repeat(200);
    const recorded = await bench.run(['record', '--max-size-mb', '0.02'], { input });
    expect(recorded.code).toBe(0);
    const segments = await readdir(join(bench.log, 'segments'));
    expect(segments.length).toBeGreaterThan(4);
    expect(await readdir(join(bench.log, 'checkpoints'))).toHaveLength(segments.length - 1);
    const verified = await bench.run(['audit', 'verify', '--strict', '--json']);
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'ok', segments: segments.length });
    const sealed = await bench.run(['audit', '--type', 'log.sealed', '--format', 'json']);
    expect(sealed.stdout.trim().split('\n')).toHaveLength(segments.length - 1);
  });
});
