import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { appendFile, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, finished, gatebookBin, linesOf, openBench, segmentBytes } from './gatebook.js';

const evil = 'x\x1b[2J\n9999-01-01 00:00:00  ok\r\u202eevil\u2066';

const call = (i: number): object => ({
  event_type: 'tool_execution',
  session_id: `s${i % 2}`,
  call_id: `call-${i}`,
  actor: i % 3 === 0 ? { user_id: 'ann' } : { user_id: `u${i}`, username: 'bob' },
  action: { phase: 'outcome', tool: i % 2 === 0 ? 'read_file' : 'write_file', risk_level: 'low' },
  result: { success: true, duration_ms: i },
});

const events: readonly object[] = [
  ...Array.from({ length: 150 }, (_, i) => call(i)),
  {
    event_type: 'command_execution',
    action: { command: 'rm -rf /', risk_level: 'critical', allowed: false },
  },
  { event_type: 'policy_violation', security: { policy_violation: true, rule: 'no-rm' } },
  { event_type: 'rate_limit_hit', actor: { user_id: '=cmd|calc' } },
  { event_type: 'acme.deploy', timestamp: '2020-05-05T12:00:00Z', details: { note: 'old' } },
  { event_type: 'acme.hostile', actor: { user_id: evil }, action: { tool: evil, command: evil } },
];

describe('gatebook audit', () => {
  let bench: Bench;
  const found = async (...args: string[]): Promise<number> => (await bench.records(args)).length;
  beforeAll(async () => {
    bench = await openBench();
    await bench.record(events);
  });
  afterAll(() => bench.remove());

  it('prints with --format json exactly the stored bytes, all of them', async () => {
    const ran = await bench.run(['audit', '--format', 'json']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(Buffer.from(ran.stdout).equals(await segmentBytes(bench.log))).toBe(true);
  });

  it('filters by user, risk, type, tool and session, alone and together', async () => {
    expect(await found('--user', 'ann')).toBe(50);
    expect(await found('--user', 'bob')).toBe(100);
    expect(await found('--user', 'u1')).toBe(1);
    expect(await found('--risk', 'critical')).toBe(1);
    expect(await found('--risk', 'critical', '--risk', 'low')).toBe(151);
    expect(await found('--type', 'acme.deploy')).toBe(1);
    expect(await found('--type', 'acme.deploy', '--type', 'rate_limit_hit')).toBe(2);
    expect(await found('--tool', 'read_file')).toBe(75);
    expect(await found('--tool', 'read_file', '--session', 's0')).toBe(75);
    expect(await found('--tool', 'read_file', '--session', 's1')).toBe(0);
    expect(await found('--user', 'ann', '--tool', 'write_file')).toBe(25);
    expect(await found('--violations-only')).toBe(3);
    expect(await found('--violations-only', '--type', 'rate_limit_hit')).toBe(1);
    expect(await found('--type', 'log.opened')).toBe(1);
  });

  it('filters by time, a day to its end', async () => {
    const all = await found();
    expect(await found('--since', '24h')).toBe(all - 1);
    expect(await found('--until', '24h')).toBe(1);
    expect(await found('--since', '2020-05-05', '--until', '2020-05-05')).toBe(1);
    expect(
      await found('--since', '2020-05-05T12:00:00Z', '--until', '2020-05-05T14:00:00+02:00'),
    ).toBe(1);
    expect(await found('--since', '2020-05-06', '--until', '2020-05-07')).toBe(0);
    expect(await found('--until', '2020-05-04')).toBe(0);
  });

  it('limits to the newest, shown oldest first', async () => {
    const tools = await bench.records(['--type', 'tool_execution']);
    const limited = await bench.records(['--type', 'tool_execution', '--limit', '7']);
    expect(limited).toEqual(tools.slice(-7));
    const all = await bench.records();
    expect(await bench.records(['--limit', '3'])).toEqual(all.slice(-3));
    expect(await bench.records(['--limit', '1'])).toEqual(all.slice(-1));
    expect(await bench.records(['--limit', '9007199254740991'])).toEqual(all);
    expect(await found('--limit', '5', '--type', 'acme.nothing')).toBe(0);
  });

  it('shows a hundred rows in a table, and says that there is more', async () => {
    const ran = await bench.run(['audit']);
    expect(ran.code).toBe(0);
    expect(linesOf(ran.stdout)).toHaveLength(101);
    expect(linesOf(ran.stdout)[0]).toMatch(/^TIME.*SEQ.*TYPE.*WHO.*WHAT.*RISK.*RESULT.*CALL/);
    expect(ran.stderr).toMatch(/the 100 newest.*--limit/);
    const limited = await bench.run(['audit', '--limit', '150']);
    expect(linesOf(limited.stdout)).toHaveLength(151);
    expect(limited.stderr).toBe('');
    const none = await bench.run(['audit', '--user', 'nobody']);
    expect(none).toMatchObject({ code: 0, stdout: '', stderr: 'gatebook: no record matches\n' });
  });

  it('lets no record forge the terminal or a row', async () => {
    for (const columns of ['40', '80', '200']) {
      const ran = await bench.run(['audit', '--type', 'acme.hostile'], {
        env: { COLUMNS: columns },
      });
      expect(linesOf(ran.stdout)).toHaveLength(2);
      expect(ran.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      for (const row of linesOf(ran.stdout))
        expect(row.length).toBeLessThanOrEqual(Number(columns));
    }
  });

  it('prints CSV with a header and without formulas', async () => {
    const ran = await bench.run(['audit', '--format', 'csv', '--type', 'rate_limit_hit']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const [header = '', row = '', ...rest] = linesOf(ran.stdout);
    expect(header).toMatch(/^seq,timestamp,event_id,event_type,emitter,channel,user_id,/);
    expect(row).toContain(",'=cmd|calc,");
    expect(row.split(',')).toHaveLength(header.split(',').length);
    expect(rest).toEqual([]);
    const all = await bench.run(['audit', '--format', 'csv']);
    expect(all.stdout.match(/evt_/g)).toHaveLength(await found());
  });

  it('writes --output whole, for its owner only, and over an older file', async () => {
    const file = join(bench.folder, 'out.json');
    await writeFile(file, 'old', { mode: 0o644 });
    const ran = await bench.run(['audit', '--format', 'json', '--output', file]);
    expect(ran).toMatchObject({ code: 0, stdout: '' });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readFile(file)).equals(await segmentBytes(bench.log))).toBe(true);
    const table = join(bench.folder, 'out.txt');
    await bench.run(['audit', '--output', table]);
    expect(linesOf(await readFile(table, 'utf8'))).toHaveLength(101);
    expect((await readdir(bench.folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('refuses an --output that would destroy something', async () => {
    const pipe = join(bench.folder, 'pipe');
    const link = join(bench.folder, 'link');
    spawnSync('mkfifo', [pipe]);
    await symlink(pipe, link);
    const first = join(bench.log, 'segments', `${'0'.repeat(20)}.jsonl`);
    for (const target of [
      pipe,
      link,
      bench.folder,
      first,
      join(bench.log, 'new'),
      join(bench.keys, 'head'),
      join(bench.folder, 'no-such-folder', 'x'),
    ]) {
      const ran = await bench.run(['audit', '--output', target]);
      expect(ran, target).toMatchObject({ code: 2, stdout: '' });
      expect(linesOf(ran.stderr)).toHaveLength(1);
    }
    expect((await stat(pipe)).isFIFO()).toBe(true);
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  it('ends quietly when its reader has read enough', async () => {
    const big = await openBench();
    try {
      await big.record(Array.from({ length: 5000 }, (_, i) => call(i)));
      for (const format of ['json', 'csv', 'table']) {
        const child = big.start(['audit', '--format', format, '--limit', '100000']);
        const end = finished(child);
        await once(child.stdout, 'data');
        child.stdout.destroy();
        expect(await end).toMatchObject({ code: 0, stderr: '' });
      }
    } finally {
      await big.remove();
    }
  });

  it('still shows what it can of a damaged log, and says so', async () => {
    const damaged = await openBench();
    try {
      await damaged.record([call(1), call(2)]);
      const [name = ''] = await readdir(join(damaged.log, 'segments'));
      await appendFile(join(damaged.log, 'segments', name), 'no json\nnull\n[1]\n');
      const ran = await damaged.run(['audit', '--format', 'csv', '--type', 'tool_execution']);
      expect(ran.code).toBe(1);
      expect(linesOf(ran.stdout)).toHaveLength(3);
      expect(ran.stderr).toMatch(
        /3 lines could not be read as records, the first in segment 0+\.jsonl, byte offset \d+/,
      );
    } finally {
      await damaged.remove();
    }
  });

  it('reports a full disk instead of ending well', () => {
    const full = openSync('/dev/full', 'w');
    const ran = spawnSync(
      process.execPath,
      [gatebookBin, 'audit', '--format', 'json', '--log', bench.log, '--keys', bench.keys],
      { stdio: ['ignore', full, 'pipe'] },
    );
    closeSync(full);
    expect(ran.status).toBe(1);
    expect(String(ran.stderr)).toContain('could not write to standard output');
  });
});
