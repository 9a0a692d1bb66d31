import { execFile } from 'node:child_process';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, openBench, repository, run, segmentBytes } from './gatebook.js';

const exec = promisify(execFile);
const verifyPy = join(repository, 'conformance', 'verifier', 'verify.py');

const events = (count: number): string =>
  Array.from({ length: count }, (_, i) => {
    const action = { tool: i % 3 === 0 ? 'mail' : 'echo', risk_level: 'low', allowed: true };
    return `${JSON.stringify({ event_type: 'tool_execution', actor: { user_id: `user-${i % 5}` }, action, details: { i } })}\n`;
  }).join('');

async function namesIn(log: string, ending: string): Promise<string[]> {
  return (await readdir(join(log, 'segments'))).filter((name) => name.endsWith(ending)).sort();
}

describe('an archived log', () => {
  let bench: Bench;
  /** The same log as it was before. */
  let plain: { readonly log: string; readonly keys: string };
  let archived: string;
  beforeAll(async () => {
    bench = await openBench();
    const recorded = await bench.run(['record', '--max-size-mb', '0.2'], { input: events(1_600) });
    expect(recorded.code).toBe(0);
    expect((await bench.run(['audit', 'archive', '--log', join(bench.folder, 'none')])).code).toBe(
      1,
    );
    plain = { log: join(bench.folder, 'plain'), keys: join(bench.folder, 'plain-keys') };
    await cp(bench.log, plain.log, { recursive: true, verbatimSymlinks: true });
    await cp(bench.keys, plain.keys, { recursive: true });
    const ran = await bench.run(['audit', 'archive']);
    expect(ran.code).toBe(0);
    archived = ran.stdout;
  });
  afterAll(() => bench.remove());

  /** What both logs say to the same question, with the paths left out. */
  const both = async (args: readonly string[]): Promise<readonly [string, string]> => {
    const places = [
      { log: bench.log, keys: bench.keys },
      { log: plain.log, keys: plain.keys },
    ];
    const [here, there] = await Promise.all(
      places.map(async ({ log, keys }) => {
        const { code, stdout, stderr } = await run([...args, '--log', log, '--keys', keys]);
        return `exit ${code}\n${stdout}${stderr}`.replaceAll(keys, 'KEYS').replaceAll(log, 'LOG');
      }),
    );
    return [here!, there!];
  };

  it('holds in each archive what zcat gives, the very bytes of the segment', async () => {
    const archives = await namesIn(bench.log, '.jsonl.gz');
    expect(archives.length).toBeGreaterThan(1);
    expect(archived.split('\n')).toHaveLength(archives.length + 2);
    expect(archived).toMatch(
      /^0{20}\.jsonl\.gz {2}records 0 to \d+ {2}[\d,]+ bytes for [\d,]+ of lines\n/,
    );
    for (const name of archives) {
      const { stdout } = await exec('zcat', [join(bench.log, 'segments', name)], {
        encoding: 'buffer',
        maxBuffer: 2 ** 26,
      });
      const before = await readFile(join(plain.log, 'segments', name.slice(0, -'.gz'.length)));
      expect(stdout.equals(before), name).toBe(true);
    }
    expect(await namesIn(bench.log, '.jsonl')).toHaveLength(1);
  });

  it.each([
    [['audit', '--format', 'json']],
    [['audit', '--format', 'csv', '--user', 'user-3', '--limit', '40']],
    [['audit', '--tool', 'mail', '--limit', '7']],
    [['audit', 'tail', '-n', '30', '--format', 'json']],
    [['audit', 'verify', '--json']],
    [['audit', 'verify', '--strict']],
    [['audit', 'prove', '--seq', '0']],
    [['audit', 'prove', '--seq', '700']],
    [['audit', 'tally', '--json']],
    [['audit', 'tally', '--prove', '--segment', '0', '--dimension', 'tool', '--value', 'mail']],
    [['audit', 'repair', '--dry-run']],
  ])('answers as before: %j', async (args) => {
    const [here, there] = await both(args);
    expect(here).toBe(there);
    expect(here).toMatch(/^exit 0\n./);
  });

  it('stands as before, but for what it takes of the disk', async () => {
    const [here, there] = (await both(['audit', 'status', '--json'])).map(
      (text) => JSON.parse(text.slice('exit 0\n'.length)) as Record<string, unknown>,
    );
    const { archive, disk_bytes: disk, ...rest } = here!;
    const { archive: none, disk_bytes: before, ...same } = there!;
    expect(rest).toEqual(same);
    expect(none).toEqual({ segments: 0, bytes: 0, line_bytes: 0, unarchived: [] });
    expect(archive).toMatchObject({ segments: (await namesIn(bench.log, '.gz')).length });
    const { bytes, line_bytes: lines } = archive as { bytes: number; line_bytes: number };
    expect(lines).toBeGreaterThan(2 * bytes);
    expect(Number(before) - Number(disk)).toBe(lines - bytes);
    expect((await bench.run(['audit', 'status'])).stdout).toMatch(/^archived {4}\d+ segments, /m);
  });

  it('is read by the second verifier, with the same result', async () => {
    const answers = await Promise.all(
      [
        [bench.log, bench.keys],
        [plain.log, plain.keys],
      ].map(async ([log, keys]) => {
        const brought = [
          '--key',
          join(keys!, 'public-key'),
          '--hmac-key',
          join(keys!, 'initial-hmac-key'),
        ];
        return (await exec('python3', [verifyPy, log!, ...brought, '--strict'])).stdout;
      }),
    );
    expect(answers[0]).toBe(answers[1]);
    expect(JSON.parse(answers[0]!)).toMatchObject({ verdict: 'ok', exit: 0, level: 'auditor' });
  });

  it('is archived once, and what is pruned goes as if it were plain', async () => {
    const again = await bench.run(['audit', 'archive', '--json']);
    expect(again).toMatchObject({ code: 0, stdout: '{"archived":[],"unarchived":[]}\n' });
    const [here, there] = await both(['audit', 'prune', '--max-total-mb', '0.3']);
    expect(here).toBe(there);
    expect(here).toMatch(/size\n.*deleted\n/s);
    expect((await both(['audit', 'verify']))[0]).toMatch(/^exit 0\n/);
    const left = await namesIn(bench.log, '.jsonl.gz');
    expect(left.map((name) => name.slice(0, 20))).toEqual(
      (await namesIn(plain.log, '.jsonl')).map((name) => name.slice(0, 20)).slice(0, left.length),
    );
  });
});

describe('a damaged archive', () => {
  it('is passed over by a search, which says so, and named by verify', async () => {
    const bench = await openBench();
    try {
      const recorded = await bench.run(['record', '--max-size-mb', '0.1'], { input: events(700) });
      expect(recorded.code).toBe(0);
      expect((await bench.run(['audit', 'archive'])).code).toBe(0);
      const [first, second] = await namesIn(bench.log, '.jsonl.gz');
      const file = join(bench.log, 'segments', first!);
      const bytes = await readFile(file);
      bytes[100]! ^= 1;
      await writeFile(file, bytes);
      const found = await bench.run(['audit', '--format', 'json']);
      expect(found.code).toBe(1);
      const next = Number(second!.slice(0, 20));
      expect(JSON.parse(found.stdout.split('\n')[0]!)).toMatchObject({ seq: next });
      expect(found.stderr).toContain(
        `${next} lines could not be read as records, the first in segment 0`,
      );
      expect((await bench.run(['audit', '--limit', '5'])).code).toBe(0);
      const verified = await bench.run(['audit', 'verify']);
      expect(verified.code).toBe(1);
      expect(verified.stdout).toMatch(/^tampered: segment 0{20}\.jsonl, seq 0, byte offset 0: /);
    } finally {
      await bench.remove();
    }
  });
});

describe('archiving', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench();
  });
  afterAll(() => bench.remove());

  it('goes on while a log is written with --archive, and nobody else may do it meanwhile', async () => {
    const writer = bench.start(['record', '--max-size-mb', '0.05', '--archive']);
    const answers = createInterface({ input: writer.stdout })[Symbol.asyncIterator]();
    const batch = events(400);
    for (let round = 0; round < 3; round++) {
      writer.stdin.write(batch);
      for (let i = 0; i < 400; i++) expect((await answers.next()).value).toContain('"ok":true');
    }
    const locked = await bench.run(['audit', 'archive']);
    expect(locked).toMatchObject({ code: 1, stdout: '' });
    expect(locked.stderr).toContain('is open in process');
    // Both verifiers look on while segments change their form under them.
    for (let tries = 0; ; tries++) {
      const last = (await namesIn(bench.log, '.jsonl')).length === 1;
      const [ours, theirs] = await Promise.all([
        bench.run(['audit', 'verify', '--json']),
        exec('python3', [verifyPy, bench.log, '--key', join(bench.keys, 'public-key')]),
      ]);
      expect(JSON.parse(ours.stdout)).toMatchObject({ verdict: 'ok' });
      expect(JSON.parse(theirs.stdout)).toMatchObject({ verdict: 'ok' });
      if (last) break;
      expect(tries).toBeLessThan(100);
    }
    const lines = (await bench.records(['--type', 'tool_execution'])).map(
      ({ details }) => details?.['i'],
    );
    expect(lines).toEqual(Array.from({ length: 1_200 }, (_, i) => i % 400));
    writer.stdin.end();
    await new Promise((done) => writer.on('close', done));
    expect((await bench.run(['audit', 'verify', '--strict'])).code).toBe(0);
    expect((await segmentBytes(bench.log)).length).toBeLessThan(100_000);
  });

  it('leaves a segment that was changed as it is, and says so', async () => {
    const other = await openBench();
    try {
      await other.record([{ event_type: 'test.event' }]);
      expect((await other.run(['audit', 'rotate'])).code).toBe(0);
      const file = join(other.log, 'segments', (await namesIn(other.log, '.jsonl'))[0]!);
      const bytes = await readFile(file);
      bytes[bytes.indexOf('"emitter":"') + 11]! ^= 1;
      await writeFile(file, bytes);
      const ran = await other.run(['audit', 'archive']);
      expect(ran.code).toBe(1);
      expect(ran.stdout).toMatch(
        /^0{20}\.jsonl stays: .*does not hold the records[^\n]*\n0 segments archived\n$/s,
      );
      expect((await other.run(['audit', 'status'])).stdout).toMatch(
        /^unarchived {2}0{20}\.jsonl: /m,
      );
      expect(await readFile(file)).toEqual(bytes);
    } finally {
      await other.remove();
    }
  });
});
