import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, linesOf, openBench } from './gatebook.js';

const event = (i: number): object => ({ event_type: 'test.event', details: { i } });

async function changeByte(log: string, needle: string, replacement: string): Promise<void> {
  const file = join(log, 'segments', `${'0'.repeat(20)}.jsonl`);
  const text = await readFile(file, 'latin1');
  expect(text).toContain(needle);
  await writeFile(file, text.replace(needle, replacement), 'latin1');
}

interface Report {
  readonly verdict: string;
  readonly level: string;
  readonly records: number;
  readonly size: number;
  readonly pending: number;
  readonly forward_security?: { readonly on: boolean };
  readonly findings: readonly {
    readonly seq?: number;
    readonly segment?: string;
    readonly offset?: number;
  }[];
}

describe('gatebook audit verify', () => {
  let bench: Bench;
  const report = async (...args: string[]): Promise<Report> =>
    JSON.parse((await bench.run(['audit', 'verify', '--json', ...args])).stdout) as Report;
  beforeEach(async () => {
    bench = await openBench();
    await bench.record(Array.from({ length: 50 }, (_, i) => event(i)));
  });
  afterEach(() => bench.remove());

  it('says ok first, how far and how deep, and what it was checked against', async () => {
    const ran = await bench.run(['audit', 'verify']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const [first = '', second = ''] = linesOf(ran.stdout);
    expect(first).toMatch(
      /^ok: 5\d records, everything up to size 5\d checked at level public; 0 pending; forward security off: move .*initial-hmac-key off this host$/,
    );
    expect(second).toContain(join(bench.keys, 'public-key'));
    expect(second).toContain(join(bench.keys, 'head'));
  });

  it('goes to the auditor level with the initial key', async () => {
    const key = join(bench.folder, 'kept-elsewhere');
    await rename(join(bench.keys, 'initial-hmac-key'), key);
    const ran = await bench.run(['audit', 'verify', '--hmac-key', key]);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('at level auditor');
    expect((await report('--hmac-key', key, '--level', 'public')).level).toBe('public');
    expect((await bench.run(['audit', 'verify', '--level', 'auditor'])).code).toBe(3);
  });

  it('is the same as audit --verify-signatures, options included', async () => {
    const both = await Promise.all([
      bench.run(['audit', 'verify', '--json', '--strict']),
      bench.run(['audit', '--verify-signatures', '--json', '--strict']),
    ]);
    expect(both[0]).toEqual(both[1]);
    expect(both[0]).toMatchObject({ code: 0 });
  });

  it('names segment, seq and byte offset of a changed byte, and exits 1', async () => {
    await changeByte(bench.log, '"details":{"i":20}', '"details":{"i":21}');
    const file = join(bench.log, 'segments', `${'0'.repeat(20)}.jsonl`);
    const lines = (await readFile(file, 'utf8')).split('\n');
    const seq = lines.findIndex((line, i) => line.includes('"i":21') && i < 23);
    const ran = await bench.run(['audit', 'verify']);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/^tampered: /);
    expect(ran.stdout).toContain(`segment ${'0'.repeat(20)}.jsonl, seq ${seq}, byte offset `);
    const { verdict, findings } = await report();
    expect(verdict).toBe('tampered');
    expect(findings[0]).toMatchObject({ seq, segment: `${'0'.repeat(20)}.jsonl` });
    expect(findings[0]?.offset).toBe(Buffer.byteLength(`${lines.slice(0, seq).join('\n')}\n`));
  });

  it('uses the keys folder’s head against an older copy of the log', async () => {
    const older = join(bench.folder, 'older');
    await cp(bench.log, older, { recursive: true });
    await bench.record([event(50)]);
    await rm(bench.log, { recursive: true });
    await rename(older, bench.log);
    expect((await report()).verdict).toBe('rolled_back');
    // Without the keys folder the older copy is all there is to see.
    const key = join(bench.keys, 'public-key');
    const apart = ['--keys', join(bench.folder, 'none'), '--key', key];
    expect((await report(...apart)).verdict).toBe('ok');
  });

  it('uses the head against a log folder of which nothing is left', async () => {
    await rm(bench.log, { recursive: true });
    for (const left of [bench.log, join(bench.log, 'segments')]) {
      await mkdir(left, { recursive: true });
      const ran = await bench.run(['audit', 'verify']);
      expect(ran.code).toBe(1);
      expect(ran.stdout).toMatch(/^rolled_back/);
    }
  });

  it('takes held checkpoints, and tells another log', async () => {
    const held = join(bench.folder, 'held');
    await writeFile(held, (await bench.run(['audit', 'checkpoint'])).stdout);
    await bench.record([event(50)]);
    expect((await bench.run(['audit', 'verify', '--checkpoint', held])).code).toBe(0);
    const other = await openBench();
    try {
      await other.record([event(0)]);
      const foreign = join(bench.folder, 'foreign');
      await writeFile(foreign, (await other.run(['audit', 'checkpoint'])).stdout);
      expect((await report('--checkpoint', held, '--checkpoint', foreign)).verdict).toBe(
        'wrong_log',
      );
      expect((await report('--key', join(other.keys, 'public-key'))).verdict).toBe('wrong_log');
      // Another log's keys folder brings its public key, but not its head as evidence about this log.
      expect((await bench.run(['audit', 'verify', '--keys', other.keys])).code).toBe(1);
    } finally {
      await other.remove();
    }
  });

  it('is unverifiable without a public key', async () => {
    const ran = await bench.run(['audit', 'verify', '--keys', join(bench.folder, 'none')]);
    expect(ran.code).toBe(3);
    expect(ran.stdout).toMatch(/^unverifiable: /);
  });

  it('exits 3 under --strict while records are pending', async () => {
    // What a killed writer leaves; on a machine slower than its checkpoint interval of a second nothing, so it is tried again.
    let pending = 0;
    for (let i = 0; i < 5 && pending === 0; i++) {
      const child = bench.start(['record']);
      const first = once(child.stdout, 'data');
      child.stdin.write(`${JSON.stringify(event(51))}\n`);
      await first;
      child.kill('SIGKILL');
      await once(child, 'close');
      ({ pending } = await report());
    }
    expect(pending).toBeGreaterThan(0);
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
    const strict = await bench.run(['audit', 'verify', '--strict']);
    expect(strict.code).toBe(3);
    expect(strict.stdout).toContain('--strict: ');
  });

  it('takes a file it cannot use as wrong usage, never as a verdict', async () => {
    const noKey = join(bench.folder, 'no-key');
    await writeFile(noKey, 'hello\n');
    for (const args of [
      ['--key', join(bench.folder, 'none')],
      ['--key', noKey],
      ['--hmac-key', join(bench.folder, 'none')],
      ['--checkpoint', join(bench.folder, 'none')],
      ['--checkpoint', bench.folder],
      ['--level', 'deep'],
    ]) {
      const ran = await bench.run(['audit', 'verify', ...args]);
      expect(ran, args.join(' ')).toMatchObject({ code: 2, stdout: '' });
      expect(linesOf(ran.stderr)).toHaveLength(1);
    }
  });

  it('says ok while the log is being written', async () => {
    const child = bench.start(['record']);
    let sent = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 20; i++) child.stdin.write(`${JSON.stringify(event(sent++))}\n`);
    }, 10);
    child.stdout.resume();
    for (let i = 0; i < 5; i++) {
      const ran = await bench.run(['audit', 'verify']);
      expect(ran.stdout).toMatch(/^ok: /);
      expect(ran.code).toBe(0);
    }
    clearInterval(timer);
    child.stdin.end();
    await once(child, 'close');
    expect((await bench.run(['audit', 'verify', '--strict'])).code).toBe(0);
    expect(await readdir(bench.log)).toContain('checkpoint');
  });
});
