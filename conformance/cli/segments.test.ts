import { once } from 'node:events';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, finished, openBench } from './gatebook.js';

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
    const names = await readdir(join(bench.log, 'segments'));
    const segments = names.filter((name) => name.endsWith('.jsonl'));
    expect(segments.length).toBeGreaterThan(4);
    expect(await readdir(join(bench.log, 'checkpoints'))).toHaveLength(segments.length - 1);
    const verified = await bench.run(['audit', 'verify', '--strict', '--json']);
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'ok', segments: segments.length });
    const sealed = await bench.run(['audit', '--type', 'log.sealed', '--format', 'json']);
    expect(sealed.stdout.trim().split('\n')).toHaveLength(segments.length - 1);
    const tallies = names.filter((name) => name.endsWith('.tally'));
    expect(tallies).toHaveLength(segments.length - 1);
  });

  it('are sealed by audit rotate, and current names the open one', async () => {
    const line = `${JSON.stringify({ event_type: 'test.event' })}\n`;
    expect((await bench.run(['record'], { input: line })).code).toBe(0);
    const rotated = await bench.run(['audit', 'rotate']);
    expect(rotated).toMatchObject({ code: 0, stdout: `sealed ${'0'.repeat(20)}.jsonl\n` });
    expect((await bench.run(['record'], { input: line })).code).toBe(0);
    const segments = (await readdir(join(bench.log, 'segments'))).filter((name) =>
      name.endsWith('.jsonl'),
    );
    expect(segments).toHaveLength(2);
    expect(await readlink(join(bench.log, 'current'))).toBe(`segments/${segments[1]}`);
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  it('are deleted on demand by whoever writes the log, by the policy in the book and by no other', async () => {
    const keeping = ['--max-size-mb', '0.02', '--max-records', '300'];
    const server = bench.start(['serve', '--json', ...keeping]);
    const ended = finished(server);
    await once(server.stdout, 'data');
    await bench.record(
      Array.from({ length: 700 }, (_, i) => ({ event_type: 'test.event', details: { i } })),
    );
    const other = await bench.run(['audit', 'prune', '--max-records', '10']);
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toContain('another process writes the log, and its policy is in force');
    const tried = await bench.run(['audit', 'prune', '--dry-run', '--max-records', '10']);
    expect(tried.stdout).toMatch(/^(\d{20}\.jsonl .*\n)*[1-9]\d* segments? would be deleted\n$/);
    const pruned = await bench.run(['audit', 'prune']);
    expect(pruned.code, pruned.stderr).toBe(0);
    expect(pruned.stdout).toMatch(/^(\d{20}\.jsonl .*\n)*\d+ segments? deleted\n$/);
    const again = await bench.run(['audit', 'prune', '--dry-run']);
    expect(again.stdout).toBe('0 segments would be deleted\n');
    server.kill('SIGTERM');
    expect((await ended).code).toBe(0);
    const verified = await bench.run(['audit', 'verify', '--json']);
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ pruned: [{ reason: 'records' }] });
  });

  it('stay when a policy is only tried, which is not in force afterwards either', async () => {
    const input = `${JSON.stringify({ event_type: 'test.event' })}\n`.repeat(700);
    expect((await bench.run(['record', '--max-size-mb', '0.02'], { input })).code).toBe(0);
    const before = await readdir(join(bench.log, 'segments'));
    for (const flags of [['--max-records', '300'], []]) {
      const tried = await bench.run(['audit', 'prune', '--dry-run', ...flags]);
      expect(tried.code, tried.stderr).toBe(0);
      expect(tried.stdout.startsWith('0 segments')).toBe(flags.length === 0);
    }
    expect(await readdir(join(bench.log, 'segments'))).toEqual(expect.arrayContaining(before));
    const types = (await bench.records()).map(({ event_type: type }) => type);
    expect(types).not.toContain('log.pruned');
  });

  it('roll at the end of an hour, as the clock of the writer says', async () => {
    const line = `${JSON.stringify({ event_type: 'test.event' })}\n`;
    const ran = await bench.run(['record', '--rotate', 'hourly'], { input: line });
    expect(ran.code).toBe(0);
    const opened = (await bench.records())[0] as unknown as { details: { rotate: string } };
    expect(opened.details.rotate).toBe('hourly');
    expect((await bench.run(['record', '--rotate', 'yearly'], { input: line })).code).toBe(2);
  });
});

describe('gatebook audit tally', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
    const events = Array.from({ length: 12 }, (_, i) => ({
      event_type: 'tool_execution',
      actor: { user_id: i < 9 ? 'ann' : 'bob' },
      action: { tool: 'echo', risk_level: 'low', allowed: i % 2 === 0 },
    }));
    await bench.record(events);
    expect((await bench.run(['audit', 'rotate'])).code).toBe(0);
  });
  afterEach(() => bench.remove());

  it('counts what a sealed segment holds', async () => {
    const all = await bench.run(['audit', 'tally', '--dimension', 'actor']);
    expect(all.code).toBe(0);
    expect(all.stdout).toContain('9  actor     "ann"\n');
    const json = await bench.run(['audit', 'tally', '--json', '--dimension', 'decision']);
    expect(json.stdout).toContain('{"dimension":"decision","value":true,"count":6}\n');
    const none = await bench.run(['audit', 'tally', '--dimension', 'actor', '--none', '--json']);
    expect(none.stdout).toMatch(/^\{"dimension":"actor","value":null,"count":[2-9]\}\n$/);
  });

  it.each([
    [
      'how many there are',
      ['--dimension', 'actor', '--value', 'bob'],
      '3 records have actor "bob"',
    ],
    [
      'that there are none',
      ['--dimension', 'actor', '--value', 'eve'],
      '0 records have actor "eve"',
    ],
    [
      'a decision',
      ['--dimension', 'decision', '--value', 'false'],
      '6 records have decision false',
    ],
    ['those without', ['--dimension', 'tool', '--none'], 'have tool none'],
  ])('proves %s, to be checked without the log', async (_, asked, said) => {
    const proof = join(bench.folder, 'x.proof');
    const made = await bench.run([
      'audit',
      'tally',
      '--segment',
      '0',
      ...asked,
      '--prove',
      '-o',
      proof,
    ]);
    expect(made).toMatchObject({ code: 0, stderr: expect.not.stringContaining('Error') });
    const key = join(bench.keys, 'public-key');
    const checked = await bench.run(['audit', 'check-proof', proof, '--key', key]);
    expect(checked.code).toBe(0);
    expect(checked.stdout).toContain(said);
    const changed = (await readFile(proof, 'utf8')).replace(
      /^line (\d+) (.)/m,
      (_, n, c) => `line ${n} ${c === 'A' ? 'B' : 'A'}`,
    );
    await writeFile(proof, changed);
    expect((await bench.run(['audit', 'check-proof', proof, '--key', key])).code).toBe(1);
  });

  it('says what is missing for a proof', async () => {
    const open = await bench.run([
      'audit',
      'tally',
      '--segment',
      '99',
      '--dimension',
      'actor',
      '--none',
      '--prove',
    ]);
    expect(open).toMatchObject({ code: 1, stdout: '' });
    expect((await bench.run(['audit', 'tally', '--prove'])).code).toBe(2);
    expect((await bench.run(['audit', 'tally', '--value', 'x'])).code).toBe(2);
  });
});
