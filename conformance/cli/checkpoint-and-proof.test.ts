import { once } from 'node:events';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, linesOf, openBench, type StoredEvent } from './gatebook.js';

const event = (i: number): object => ({ event_type: 'test.event', details: { i } });

/** Leaves the log as a writer does that was killed: the last records may be pending. */
async function recordAndKill(bench: Bench, i: number): Promise<void> {
  const child = bench.start(['record']);
  const first = once(child.stdout, 'data');
  child.stdin.write(`${JSON.stringify(event(i))}\n`);
  await first;
  child.kill('SIGKILL');
  await once(child, 'close');
}

describe('gatebook audit checkpoint', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
    await bench.record(Array.from({ length: 20 }, (_, i) => event(i)));
  });
  afterEach(() => bench.remove());

  it('prints the note that covers everything, and writes nothing when there is nothing to cover', async () => {
    const before = await bench.records();
    const ran = await bench.run(['audit', 'checkpoint']);
    expect(ran.code).toBe(0);
    const [origin, size, root, blank, signature] = ran.stdout.split('\n');
    expect(origin).toMatch(/\/gatebook\/[0-9a-f]{32}$/);
    expect(Number(size)).toBe(before.length);
    expect(root).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(blank).toBe('');
    expect(signature).toMatch(/^— \S+ \S+$/);
    expect(await bench.records()).toEqual(before);
  });

  it('covers what a killed writer left pending', async () => {
    await recordAndKill(bench, 20);
    const before = await bench.records();
    const ran = await bench.run(['audit', 'checkpoint']);
    expect(ran.code).toBe(0);
    expect(Number(ran.stdout.split('\n')[1])).toBeGreaterThanOrEqual(before.length);
    expect((await bench.run(['audit', 'verify', '--strict'])).code).toBe(0);
  });

  it('waits for the checkpoint of a running writer', async () => {
    const child = bench.start(['record']);
    const first = once(child.stdout, 'data');
    child.stdin.write(`${JSON.stringify(event(20))}\n`);
    await first;
    const { length } = await bench.records();
    const ran = await bench.run(['audit', 'checkpoint']);
    expect(ran.code).toBe(0);
    expect(Number(ran.stdout.split('\n')[1])).toBeGreaterThanOrEqual(length);
    child.stdin.end();
    await once(child, 'close');
  });

  it('names a running writer that makes none', async () => {
    const child = bench.start(['record']);
    const first = once(child.stdout, 'data');
    child.stdin.write(`${JSON.stringify(event(20))}\n`);
    await first;
    child.kill('SIGSTOP');
    try {
      const status = JSON.parse((await bench.run(['audit', 'status', '--json'])).stdout) as {
        pending: number;
        locked_by: number;
      };
      expect(status.locked_by).toBe(child.pid);
      // The writer was stopped right after its acknowledgement, nearly always before its checkpoint.
      if (status.pending > 0) {
        const ran = await bench.run(['audit', 'checkpoint']);
        expect(ran).toMatchObject({ code: 1, stdout: '' });
        expect(ran.stderr).toContain(`process ${child.pid}`);
      }
    } finally {
      child.kill('SIGCONT');
      child.stdin.end();
      await once(child, 'close');
    }
  });
});

describe('gatebook audit prove and check-proof', () => {
  let bench: Bench;
  let proof: string;
  let key: string;
  beforeEach(async () => {
    bench = await openBench();
    proof = join(bench.folder, 'proof');
    key = join(bench.folder, 'key');
    await bench.record(Array.from({ length: 20 }, (_, i) => event(i)));
    await writeFile(key, await readFile(join(bench.keys, 'public-key')));
  });
  afterEach(() => bench.remove());

  it('prove one record so that it can be checked when the log is gone', async () => {
    const [, , , stored] = (await bench.records(['--type', 'test.event'])) as StoredEvent[];
    const line = linesOf((await bench.run(['audit', '--format', 'json'])).stdout)[stored!.seq]!;
    const ran = await bench.run(['audit', 'prove', '--event', stored!.event_id, '-o', proof]);
    expect(ran).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect((await stat(proof)).mode & 0o777).toBe(0o600);
    await rm(bench.log, { recursive: true });
    await rm(bench.keys, { recursive: true });
    const checked = await bench.run(['audit', 'check-proof', proof, '--key', key]);
    expect(checked).toMatchObject({ code: 0, stderr: '' });
    expect(linesOf(checked.stdout)[0]).toMatch(
      new RegExp(
        `^ok: record ${stored!.seq} is in the log \\S+/gatebook/[0-9a-f]{32} at size \\d+$`,
      ),
    );
    expect(linesOf(checked.stdout)).toContain(line);
  });

  it('prove by seq on stdout the same as by event into a file', async () => {
    const [first] = await bench.records(['--type', 'test.event']);
    await bench.run(['audit', 'prove', '--event', first!.event_id, '-o', proof]);
    const ran = await bench.run(['audit', 'prove', '--seq', String(first!.seq)]);
    expect(ran.stdout).toBe(await readFile(proof, 'utf8'));
  });

  it('prove a record that was pending', async () => {
    await recordAndKill(bench, 20);
    const last = (await bench.records()).at(-1)!;
    expect((await bench.run(['audit', 'prove', '--seq', String(last.seq), '-o', proof])).code).toBe(
      0,
    );
    expect((await bench.run(['audit', 'check-proof', proof, '--key', key])).code).toBe(0);
  });

  it('refuse a changed proof, another key, and what is no proof', async () => {
    await bench.run(['audit', 'prove', '--seq', '3', '-o', proof]);
    const text = await readFile(proof, 'utf8');
    const extra = /^extra (\S+)$/m.exec(text)![1]!;
    const forged = Buffer.from(extra, 'base64').toString().replace('"i":', '"j":');
    const other = await openBench();
    await other.run(['init']);
    const bad: readonly (readonly [string, string, string])[] = [
      ['a changed line', text.replace(extra, Buffer.from(forged).toString('base64')), key],
      ['another index', text.replace('index 3', 'index 4'), key],
      ['a changed size', text.replace(/\n(\d+)\n(?=[A-Za-z0-9+/]{43}=\n\n)/, '\n9\n'), key],
      ['no signature', text.slice(0, text.lastIndexOf('—')), key],
      ['another key', text, join(other.keys, 'public-key')],
      ['no proof', 'hello\n', key],
      ['nothing', '', key],
    ];
    for (const [what, content, keyFile] of bad) {
      expect(content === text && keyFile === key, what).toBe(false);
      await writeFile(proof, content);
      const ran = await bench.run(['audit', 'check-proof', proof, '--key', keyFile]);
      expect(ran, what).toMatchObject({ code: 1, stdout: '' });
      expect(linesOf(ran.stderr), what).toHaveLength(1);
      expect(ran.stderr).toContain('bad proof');
    }
    await other.remove();
  });

  it('tell a record that is not there, and wrong usage', async () => {
    const unknown = 'evt_00000000-0000-7000-8000-000000000000';
    const ran = await bench.run(['audit', 'prove', '--event', unknown]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain(unknown);
    const beyond = await bench.run(['audit', 'prove', '--seq', '1000000']);
    expect(beyond).toMatchObject({ code: 1, stdout: '' });
    for (const args of [
      ['prove'],
      ['prove', '--seq', '-1'],
      ['prove', '--seq', '1.5'],
      ['prove', '--event', 'x'],
      ['prove', '--event', unknown, '--seq', '1'],
      ['check-proof', '--key', key],
      ['check-proof', proof],
      ['check-proof', join(bench.folder, 'none'), '--key', key],
      ['check-proof', key, '--key', join(bench.folder, 'none')],
    ]) {
      expect((await bench.run(['audit', ...args])).code, args.join(' ')).toBe(2);
    }
  });
});
