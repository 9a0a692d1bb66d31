import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, finished, linesOf, openBench, run, start } from './gatebook.js';

describe('setting up a log', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench.remove());

  it('init makes folders and keys that only their owner may read', async () => {
    const ran = await bench.run(['init']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(
      /^log +.*\(made\)\nkeys +.*\norigin +\S+\/gatebook\/[0-9a-f]{32}\npublic key +\S+\n$/,
    );
    expect(ran.stderr).toBe(
      `gatebook: forward security off: move ${bench.keys}/initial-hmac-key off this host\n`,
    );
    expect((await stat(bench.log)).mode & 0o777).toBe(0o700);
    expect((await stat(bench.keys)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(bench.keys)) {
      const mode = (await stat(join(bench.keys, name))).mode & 0o777;
      expect(mode, name).toBe(name === 'public-key' ? 0o644 : 0o600);
    }
  });

  it('a second init says what is there and changes no byte', async () => {
    await bench.run(['init']);
    const segment = join(bench.log, 'segments', `${'0'.repeat(20)}.jsonl`);
    const before = await readFile(segment);
    const key = await readFile(join(bench.keys, 'public-key'), 'utf8');
    const ran = await bench.run(['init']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('(already there)');
    expect(ran.stdout).toContain(key.trim());
    expect(await readFile(segment)).toEqual(before);
  });

  it('the first use without init sets up by itself', async () => {
    const ran = await bench.run(['record'], { input: '{"event_type":"auth_login"}\n' });
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.stdout)).toMatchObject({ ok: true, seq: 1 });
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  it('a place where no folder can be made is named at once', async () => {
    const dir = '/proc/nowhere/log';
    const child = start(['record', '--log', dir, '--keys', bench.keys]);
    child.stdin.end('{"event_type":"auth_login"}\n');
    const patience = setTimeout(() => child.kill('SIGKILL'), 60_000);
    const ran = await finished(child);
    clearTimeout(patience);
    expect([ran.code, ran.stdout]).toEqual([1, '']);
    expect(ran.stderr).toContain(`the log ${dir} cannot be opened: ENOENT`);
  });

  it('the security line goes away with the initial key', async () => {
    await bench.run(['init']);
    await rename(join(bench.keys, 'initial-hmac-key'), join(bench.folder, 'kept-elsewhere'));
    const ran = await bench.run(['record'], { input: '{"event_type":"auth_login"}\n' });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect((await bench.run(['audit', 'status'])).stdout).toContain('forward security on');
  });

  it('finds the log by option, environment and XDG folders, the nearest first', async () => {
    const xdg = {
      XDG_STATE_HOME: join(bench.folder, 'state'),
      XDG_CONFIG_HOME: join(bench.folder, 'config'),
    };
    expect((await run(['init'], { env: xdg })).code).toBe(0);
    expect(existsSync(join(bench.folder, 'state/gatebook/log/segments'))).toBe(true);
    expect(existsSync(join(bench.folder, 'config/gatebook/keys/origin'))).toBe(true);
    const home = { XDG_STATE_HOME: '', XDG_CONFIG_HOME: '', HOME: join(bench.folder, 'home') };
    expect((await run(['init'], { env: home })).code).toBe(0);
    expect(existsSync(join(bench.folder, 'home/.local/state/gatebook/log'))).toBe(true);
    expect(existsSync(join(bench.folder, 'home/.config/gatebook/keys'))).toBe(true);

    await bench.run(['init']);
    const named = [`--log=${bench.log}`, '--keys', bench.keys];
    const nowhere = { GATEBOOK_LOG: '/nowhere', GATEBOOK_KEYS: '/nowhere' };
    for (const args of [
      [...named, 'audit', 'status'],
      ['audit', ...named, 'status'],
      ['audit', 'status', ...named],
      ['--log', '/nowhere', 'audit', '--log', '/nowhere/else', 'status', ...named],
    ]) {
      expect((await run(args, { env: nowhere })).stdout, args.join(' ')).toContain(bench.log);
    }
  });

  it('read commands on a log that does not exist say so, and make nothing', async () => {
    for (const args of [
      ['audit'],
      ['audit', 'status'],
      ['audit', 'tail'],
      ['audit', 'checkpoint'],
      ['audit', 'prove', '--seq', '0'],
    ]) {
      const ran = await bench.run(args);
      expect(ran, args.join(' ')).toMatchObject({ code: 1, stdout: '' });
      expect(linesOf(ran.stderr)).toHaveLength(1);
      expect(ran.stderr).toContain(`there is no log at ${bench.log}`);
    }
    const verified = await bench.run(['audit', 'verify']);
    expect(verified.code).toBe(3);
    expect(verified.stderr).toContain(`there is no log at ${bench.log}`);
    expect(existsSync(bench.log)).toBe(false);
    expect(existsSync(bench.keys)).toBe(false);
  });

  it('a file where the log should be is an error, not a log', async () => {
    await writeFile(bench.log, '');
    expect((await bench.run(['audit'])).code).toBe(1);
    const ran = await bench.run(['init']);
    expect(ran.code).toBe(1);
    expect(linesOf(ran.stderr)).toHaveLength(1);
  });

  it('a keys folder inside the log folder is refused', async () => {
    await mkdir(bench.log);
    const ran = await bench.run(['init', '--keys', join(bench.log, 'keys')]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('outside the log folder');
  });
});
