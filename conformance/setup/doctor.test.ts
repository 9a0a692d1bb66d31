import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  appendFile,
  chmod,
  cp,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { finished, gatebookBin, linesOf, start } from '../cli/gatebook.js';
import { rowsToTry } from '../cli/rows-to-try.js';
import { ensureStrace } from '../power-loss/recording.js';
import { type Home, openHome } from './home.js';

interface Check {
  readonly id: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly what: string;
  readonly todo?: string;
}

const event = '{"event_type":"auth_login","actor":{"user_id":"ada"}}\n';

const witness = `w.example/1+${cosignerKey('w.example/1')}`;

describe('gatebook doctor', () => {
  let home: Home;
  /** With a log in which something was recorded, to begin from. */
  let sound: Home;
  beforeAll(async () => {
    sound = await openHome();
    await record(sound);
  });
  afterAll(() => sound.remove());
  beforeEach(async () => {
    home = await openHome();
  });
  afterEach(() => home.remove());

  interface Look {
    readonly code: number | null;
    readonly checks: readonly Check[];
    of(id: string): Check | undefined;
  }

  async function look(env?: Readonly<Record<string, string>>, args: string[] = []): Promise<Look> {
    const ran = await home.run(['doctor', '--json', ...args], env);
    expect(ran.stderr).toBe('');
    const { checks } = JSON.parse(ran.stdout) as { readonly checks: readonly Check[] };
    expect(ran.code).toBe(checks.some(({ level }) => level === 'fail') ? 1 : 0);
    for (const check of checks) {
      expect(Object.keys(check).sort()).toEqual(
        ['id', 'level', 'todo', 'what'].filter((name) => name in check),
      );
      // Whoever is told of something is told what to do.
      if (check.level === 'fail') expect(check.todo, check.id).toMatch(/\S/);
    }
    return { code: ran.code, checks, of: (id) => checks.find((check) => check.id === id) };
  }

  async function set(toml: string): Promise<void> {
    await home.write('.config/gatebook/config.toml', toml);
  }

  async function recorded(): Promise<void> {
    for (const name of ['.local', '.config']) {
      const to = join(home.folder, name);
      await cp(join(sound.folder, name), to, { recursive: true, preserveTimestamps: true });
    }
  }

  const segment = (): string => join(home.log, 'segments', `${'0'.repeat(20)}.jsonl`);

  it('before there is anything: no failure, and how to begin; nothing is made', async () => {
    const { code, of } = await look();
    expect(code).toBe(0);
    expect(of('log')).toMatchObject({
      level: 'warn',
      todo: expect.stringContaining('gatebook init'),
    });
    expect(await readdir(home.folder)).toEqual(['work']);
  });

  it('a sound log: warnings alone exit 0; a line for each check, and the same as JSON', async () => {
    await recorded();
    const { code, checks, of } = await look();
    expect(code).toBe(0);
    for (const id of [
      'config',
      'keys.modes',
      'keys.signing',
      'log.permissions',
      'log.writer',
      'log.end',
      'log.checkpoint',
      'log.verify',
    ]) {
      expect(of(id), id).toMatchObject({ level: 'ok' });
    }
    for (const id of ['forward_security', 'witness', 'separation', 'enforced.rate_limiting']) {
      expect(of(id), id).toMatchObject({ level: 'warn', todo: expect.any(String) });
    }
    expect(of('separation')?.what).toContain('approvals are advisory');
    expect(of('log.verify')?.what).toContain('size 3');
    const text = await home.run(['doctor']);
    expect(text.code).toBe(0);
    const lines = linesOf(text.stdout).map((line) => line.split(':')[0]);
    expect(lines).toEqual(checks.map(({ id, level }) => `${level.padEnd(4)}  ${id}`));
  });

  it('reads only: no byte, name or time changes, and a log that is written is not disturbed', async () => {
    await recorded();
    const writer = startAt(home, ['record']);
    writer.stdin.write(event);
    await new Promise((resolve) => writer.stdout.once('data', resolve));
    const keys = await stateOf(home.keys);
    const { of } = await look();
    expect(of('log.writer')).toMatchObject({
      level: 'ok',
      what: `process ${writer.pid} writes it`,
    });
    expect((await stateOf(home.keys)).map(([name]) => name)).toEqual(keys.map(([name]) => name));
    writer.stdin.end(event);
    expect((await finished(writer)).code).toBe(0);
    const before = await stateOf(home.folder);
    await look();
    expect(await stateOf(home.folder)).toEqual(before);
  });

  it('opens nothing for writing, asks for no lock and connects nowhere', async () => {
    ensureStrace();
    await recorded();
    await set(`[security.audit]\nwitnesses = ["http://127.0.0.1:1/=${witness}"]\n`);
    const trace = join(home.folder, 'trace');
    const calls =
      'open,openat,creat,fcntl,flock,connect,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,symlink,chmod,fchmod,chown,truncate,ftruncate';
    const args = [
      '-f',
      '-qq',
      '-o',
      trace,
      '-e',
      `trace=${calls}`,
      process.execPath,
      gatebookBin,
      'doctor',
      '--json',
    ];
    const child = spawn('strace', args, {
      // Calls that go through a ring in memory are seen by nobody.
      env: { PATH: process.env['PATH'], HOME: home.folder, UV_USE_IO_URING: '0' },
      cwd: home.work,
    });
    const ran = await finished(child);
    expect(ran.code, ran.stderr).toBeLessThan(2);
    expect(ran.stdout).toContain('log.verify');
    const lines = (await readFile(trace, 'utf8')).split('\n');
    expect(lines.some((line) => line.includes('segments'))).toBe(true);
    const deeds = lines.filter((line) => {
      if (/ (open|openat|creat)\(/.test(line)) {
        return /O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)/.test(line) && !/"\/(dev|proc)\//.test(line);
      }
      if (/ fcntl\(/.test(line)) return /F_(OFD_)?SETLKW?/.test(line);
      return / (flock|connect|rename\w*|unlink\w*|mkdir\w*|link\w*|symlink|f?chmod|chown|f?truncate)\(/.test(
        line,
      );
    });
    expect(deeds).toEqual([]);
  });

  it('a stopped writer and a dead witness do not keep it waiting', async () => {
    await recorded();
    const deaf = createServer(() => {});
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const { port } = deaf.address() as { readonly port: number };
    let calls = 0;
    deaf.on('connection', (socket) => {
      calls++;
      socket.destroy();
    });
    await set(`[security.audit]\nwitnesses = ["http://127.0.0.1:${port}/hush=${witness}"]\n`);
    const writer = spawn(
      process.execPath,
      [gatebookBin, 'record', '--log', home.log, '--keys', home.keys],
      {
        env: { PATH: process.env['PATH'], HOME: join(home.folder, 'work') },
      },
    );
    writer.stdin.write(event);
    await new Promise((resolve) => writer.stdout.once('data', resolve));
    writer.kill('SIGSTOP');
    try {
      const { of } = await look();
      expect(of('log.writer')).toMatchObject({
        level: 'fail',
        todo: expect.stringContaining(`kill -CONT ${writer.pid}`),
      });
      expect(of('witness.w.example/1')).toMatchObject({ level: 'warn' });
      expect(calls).toBe(0);
    } finally {
      writer.kill('SIGCONT');
      writer.stdin.end();
      await finished(writer);
      deaf.close();
    }
  });

  it('a killed writer, an end that nobody finished', async () => {
    const writer = startAt(home, ['record']);
    writer.stdin.write(event);
    await new Promise((resolve) => writer.stdout.once('data', resolve));
    writer.kill('SIGKILL');
    await finished(writer);
    await appendFile(segment(), '{"seq":');
    const { code, of } = await look();
    expect(code).toBe(0);
    expect(of('log.writer')).toMatchObject({
      level: 'warn',
      what: expect.stringContaining('not closed'),
    });
    expect(of('log.end')).toMatchObject({ level: 'warn', what: expect.stringMatching(/^7 bytes/) });
    await record(home);
    const after = await look();
    expect(after.of('log.writer')?.level).toBe('ok');
    expect(after.of('log.end')?.level).toBe('ok');
  });

  describe('what is wrong with log and keys fails', () => {
    beforeEach(() => recorded());

    const cases: readonly (readonly [string, string, () => Promise<unknown>])[] = [
      ['a changed byte', 'log.verify', () => flip(segment())],
      ['records cut off', 'log.checkpoint', () => truncate(segment(), 700)],
      ['a last record that is none', 'log.readable', () => appendFile(segment(), 'x\n')],
      ['a checkpoint of another key', 'log.checkpoint', () => forgeCheckpoint()],
      ['keys that others may read', 'keys.modes', () => chmod(join(home.keys, 'head'), 0o644)],
      ['a keys folder that others may enter', 'keys.modes', () => chmod(home.keys, 0o711)],
      [
        'a public key that others may change',
        'keys.modes',
        () => chmod(join(home.keys, 'public-key'), 0o666),
      ],
      ['a log that others may write to', 'log.permissions', () => chmod(home.log, 0o777)],
      ['a head that is gone', 'keys.files', () => rm(join(home.keys, 'head'))],
      ['no key of an epoch', 'keys.files', () => rm(join(home.keys, 'epoch-1.key'))],
      ['a signing key that is gone', 'keys.signing', () => rm(join(home.keys, 'signing-key.pem'))],
      [
        'the keys of another log',
        'keys.origin',
        () => writeFile(join(home.keys, 'origin'), 'h/gatebook/00112233445566778899aabbccddeeff\n'),
      ],
      ['no keys at all', 'keys', () => rm(home.keys, { recursive: true })],
      ['keys without their log', 'log', () => rm(home.log, { recursive: true })],
    ];
    it.each(rowsToTry(cases))('%s: %s', async (_what, id, spoil) => {
      await spoil();
      const { code, of } = await look();
      expect(code).toBe(1);
      expect(of(id)?.level).toBe('fail');
    });

    it('what others may only read, and what holds pending records, is a warning', async () => {
      await chmod(home.log, 0o755);
      const { code, of } = await look();
      expect([code, of('log.permissions')?.level]).toEqual([0, 'warn']);
    });
  });

  async function flip(file: string): Promise<void> {
    const bytes = await readFile(file);
    const at = bytes.indexOf('auth_login');
    bytes[at] = bytes[at]! ^ 1;
    await writeFile(file, bytes);
  }

  async function forgeCheckpoint(): Promise<void> {
    const file = join(home.log, 'checkpoint');
    const text = await readFile(file, 'utf8');
    const forged = text.replace(
      /(— \S+ .{20})(.)/,
      (_, head, last) => head + (last === 'A' ? 'B' : 'A'),
    );
    await writeFile(file, forged);
  }

  it('forward security: on when the initial key is off the host and its epoch has ended', async () => {
    await recorded();
    expect((await look()).of('forward_security')).toMatchObject({
      level: 'warn',
      todo: expect.stringContaining('keys export --hmac'),
    });
    await rename(join(home.keys, 'initial-hmac-key'), join(home.folder, 'away'));
    expect((await look()).of('forward_security')?.level).toBe('ok');
    await writeFile(join(home.keys, 'epoch-0.key'), await readFile(join(home.folder, 'away')), {
      mode: 0o600,
    });
    expect((await look()).of('forward_security')).toMatchObject({
      level: 'warn',
      what: expect.stringContaining('epoch-0.key'),
    });
  });

  it('witnesses and anchors: how far they are behind, from files', async () => {
    await recorded();
    const note = (more: object): object => ({
      kind: 'witness',
      tried: '2026-01-01T00:00:00.000Z',
      ...more,
    });
    const now = new Date().toISOString();
    await mkdir(join(home.log, 'cosigned'), { mode: 0o700 });
    const notes = [
      note({ name: 'w/fresh', size: 3, confirmed: '2026-01-01T00:00:00.000Z' }),
      note({ name: 'w/soon', size: 1, confirmed: now }),
      note({ name: 'w/late', size: 1, confirmed: '2026-01-01T00:00:00.000Z' }),
      note({
        name: 'w/failing',
        size: 3,
        confirmed: now,
        error: 'fetch of https://u:pw@w.example/x failed',
      }),
      note({ name: 'file /a', kind: 'anchor' }),
    ];
    await writeFile(join(home.log, 'cosigned', 'progress.json'), JSON.stringify(notes));
    const { of, checks } = await look();
    expect(of('witness.w/fresh')).toMatchObject({
      level: 'ok',
      what: expect.stringContaining('0 records behind'),
    });
    expect(of('witness.w/soon')).toMatchObject({
      level: 'ok',
      what: expect.stringContaining('2 records behind'),
    });
    expect(of('witness.w/late')).toMatchObject({
      level: 'warn',
      what: expect.stringContaining('2 records behind'),
    });
    expect(of('witness.w/failing')).toMatchObject({
      level: 'warn',
      what: expect.stringContaining('(a URL) failed'),
    });
    expect(of('anchor.file /a')?.level).toBe('warn');
    expect(checks.some(({ id }) => id === 'witness')).toBe(false);
    await rm(join(home.log, 'cosigned', 'progress.json'));
    await finished(spawn('mkfifo', [join(home.log, 'cosigned', 'progress.json')]));
    expect((await look()).of('witness')?.level).toBe('warn');
  });

  it('what is not enforced, and where that is said', async () => {
    await recorded();
    await set(
      '[security.audit]\nenabled = false\non_log_failure = "allow"\nlog_commands = false\n[security.rate_limiting]\nenabled = true\n[security.rate_limiting.limits.quiet]\nrate = "1/min"\nshadow = true\n',
    );
    const { code, of } = await look();
    expect(code).toBe(0);
    const says = (id: string, ...words: string[]): void => {
      expect(of(id), id).toMatchObject({ level: 'warn', todo: expect.any(String) });
      for (const word of words) expect(of(id)?.what).toContain(word);
    };
    says('enforced.audit', 'nothing is recorded', 'config.toml:2:1');
    says('enforced.on_log_failure', 'config.toml:3:1');
    says('enforced.recording', 'log_commands', 'config.toml:4:1');
    says('enforced.shadow', 'quiet');
    expect(of('enforced.rate_limiting')).toBeUndefined();
    const byVariable = await look({ GATEBOOK_SECURITY_RATE_LIMITING_ENABLED: 'false' });
    expect(byVariable.of('enforced.rate_limiting')?.what).toContain(
      'GATEBOOK_SECURITY_RATE_LIMITING_ENABLED',
    );
    expect(byVariable.of('config')?.what).toContain('GATEBOOK_SECURITY_RATE_LIMITING_ENABLED');
  });

  it('a project’s file: what in it is ignored, until it is trusted', async () => {
    await recorded();
    const file = await home.write(
      'work/gatebook.toml',
      '[security.audit]\nenabled = false\nsign_events = true\n',
    );
    const untrusted = await look();
    expect(untrusted.of('config')?.what).toContain(`${file} (read)`);
    expect(untrusted.of('config.trust')).toMatchObject({
      level: 'warn',
      what: expect.stringMatching(/ignored: security\.audit\.enabled$/),
    });
    expect(untrusted.of('enforced.audit')).toBeUndefined();
    expect((await home.run(['config', 'trust', '--yes'])).code).toBe(0);
    const trusted = await look();
    expect(trusted.of('config.trust')).toMatchObject({
      level: 'ok',
      what: expect.stringContaining('trusted with security.audit.enabled'),
    });
    expect(trusted.of('enforced.audit')?.level).toBe('warn');
    await writeFile(file, '[security.audit]\nsign_events = true\n');
    expect((await look()).of('config.trust')).toMatchObject({
      level: 'ok',
      what: expect.stringContaining('nothing in'),
    });
  });

  it('a wrong configuration: every fault, and the rest is looked at all the same', async () => {
    await recorded();
    await set('[security.audit]\nx = 1\nrotate = "monthly"\n');
    const { code, checks, of } = await look();
    expect(code).toBe(1);
    const faults = checks.filter(({ id }) => id === 'config');
    expect(faults.map(({ what }) => /config\.toml:\d:\d+/.exec(what)?.[0])).toEqual([
      'config.toml:2:1',
      'config.toml:3:10',
    ]);
    expect(of('log.verify')?.level).toBe('ok');
    expect(of('enforced')?.level).toBe('warn');
    await set('[security.audit]\n');
    await chmod(home.config, 0o666);
    expect((await look()).of('config')).toMatchObject({
      level: 'fail',
      what: expect.stringContaining('others may write'),
    });
  });

  it('no secret is shown', async () => {
    await recorded();
    const secrets = ['hush-url', 'hush-command', 'hush-env', 'hush-signing', 'hush-arg'];
    await set(
      `[security.audit]\nwitnesses = ["https://hush-url@w.example/=${witness}"]\nanchor_commands = ["curl hush-command"]\n`,
    );
    await home.write(
      '.cursor/mcp.json',
      JSON.stringify({
        mcpServers: { s: { command: 'x', args: ['hush-arg'], env: { K: 'hush-env' } } },
      }),
    );
    for (const name of await readdir(home.keys)) {
      if (name === 'public-key' || name === 'origin' || name === 'lock') continue;
      const text = await readFile(join(home.keys, name), 'latin1');
      secrets.push(...(text.match(/[A-Za-z0-9+/=]{40,}/g) ?? []));
    }
    expect(secrets.length).toBeGreaterThan(7);
    const env = { GATEBOOK_SIGNING_KEY: 'hush-signing' };
    for (const args of [['doctor'], ['doctor', '--json']]) {
      const ran = await home.run(args, env);
      expect(ran.stdout).toContain('client.cursor');
      for (const secret of secrets) expect(ran.stdout + ran.stderr).not.toContain(secret);
    }
    await set(
      '[security.audit]\nwitnesses = ["hush-url"]\nanchor_commands = ["x", "hush-command]\n',
    );
    const wrong = await home.run(['doctor']);
    expect(wrong.code).toBe(1);
    for (const secret of secrets) expect(wrong.stdout + wrong.stderr).not.toContain(secret);
  });

  it('pipes in the place of files are not waited for', async () => {
    await recorded();
    await home.write('.cursor/mcp.json', '{}');
    await home.write('work/gatebook.toml', '');
    await set('');
    const keys = (await readdir(home.keys)).map((name) => join(home.keys, name));
    const files = ['checkpoint', 'lock'].map((name) => join(home.log, name));
    const cursor = join(home.folder, '.cursor', 'mcp.json');
    for (const group of [
      keys,
      [...files, cursor],
      [home.config],
      [join(home.work, 'gatebook.toml')],
    ]) {
      for (const place of group) {
        await rename(place, `${place}.kept`);
        await finished(spawn('mkfifo', ['-m', '600', place]));
      }
      const { checks } = await look();
      expect(checks.some(({ what }) => what.includes(' 30 s'))).toBe(false);
      for (const place of group) await rename(`${place}.kept`, place);
    }
  });

  it('a log that another user writes: its socket is looked at, and not called', async () => {
    const socket = join(home.folder, 's');
    const missing = await look({ GATEBOOK_SOCKET: socket });
    expect(missing.of('socket')).toMatchObject({ level: 'fail' });
    expect(missing.of('log')).toBeUndefined();
    await writeFile(socket, '');
    expect((await look({ GATEBOOK_SOCKET: socket })).of('socket')?.what).toContain('no socket');
    await rm(socket);
    let calls = 0;
    const server = createServer(() => calls++);
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const found = await look({ GATEBOOK_SOCKET: socket });
    expect(found.of('socket')?.level).toBe('ok');
    expect(found.of('separation')?.level).toBe('warn');
    await chmod(home.folder, 0o777);
    expect((await look({ GATEBOOK_SOCKET: socket })).of('socket')?.level).toBe('fail');
    expect(calls).toBe(0);
    server.close();
    // Folders that are named outrank it.
    expect((await look({ GATEBOOK_SOCKET: socket }, ['--log', home.log])).of('log')).toBeDefined();
  });

  it.skipIf(process.platform !== 'linux')(
    'clients: servers in the open, and gates that are gone',
    async () => {
      const servers = {
        open: { command: 'x' },
        gone: { command: '/gone/node', args: ['/gone/gatebook.js', 'mcp', '--', 'y'] },
        far: { url: 'https://far.example' },
      };
      await home.write('.cursor/mcp.json', JSON.stringify({ mcpServers: servers }));
      await home.write('.claude.json', '{"x":');
      const { checks } = await look();
      const cursor = checks.filter(({ id }) => id === 'client.cursor');
      expect(cursor).toMatchObject([
        {
          level: 'fail',
          what: expect.stringContaining('"gone"'),
          todo: 'gatebook init --client cursor',
        },
        { level: 'warn', what: expect.stringContaining('"open", "far"') },
      ]);
      expect(checks.find(({ id }) => id === 'client.claude-code')).toMatchObject({
        level: 'warn',
        what: expect.stringContaining(':1:6'),
      });
      expect((await home.run(['init', '--client', 'cursor'])).code).toBe(0);
      const after = await look();
      expect(after.code).toBe(0);
      expect(after.of('client.cursor')?.what).toMatch(/not behind the gate: "far"$/);
    },
  );

  it('pseudonyms that cannot be looked up', async () => {
    const child = startAt(home, ['record', '--content', 'personal']);
    child.stdin.end(
      '{"event_type":"command_execution","actor":{"user_id":"ada"},"action":{"command":"ls"}}\n',
    );
    expect((await finished(child)).code).toBe(0);
    expect((await look()).of('pseudonyms')?.level).toBe('ok');
    const { of } = await look({}, ['--keys', join(home.folder, 'other')]);
    expect(of('pseudonyms')).toMatchObject({
      level: 'warn',
      what: expect.stringContaining('not found by name'),
    });
  });

  it('a large log is not verified, and that is said', async () => {
    await recorded();
    const file = await open(segment(), 'r+');
    await file.truncate(40 * 1024 * 1024);
    await file.close();
    const { of } = await look();
    expect(of('log.verify')).toMatchObject({
      level: 'ok',
      what: expect.stringContaining('not verified here'),
    });
  });
});

/** Names, bytes, modes and times of all below a folder. */
async function stateOf(folder: string): Promise<[string, number, number, string][]> {
  const names = await readdir(folder, { recursive: true });
  return await Promise.all(
    names.sort().map(async (name): Promise<[string, number, number, string]> => {
      const path = join(folder, name);
      const stat = await lstat(path);
      const bytes = stat.isFile() ? await readFile(path, 'latin1') : '';
      return [name, stat.mode, stat.mtimeMs, bytes];
    }),
  );
}

function startAt(home: Home, args: readonly string[]): ChildProcessWithoutNullStreams {
  return start(args, { env: { HOME: home.folder, XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' } });
}

async function record(home: Home): Promise<void> {
  const child = startAt(home, ['record']);
  child.stdin.end(event);
  expect((await finished(child)).code).toBe(0);
}

/** The rest of a witness's key, behind its name (C2SP tlog-cosignature). */
function cosignerKey(name: string): string {
  const { publicKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const key = Buffer.concat([Buffer.from([4]), raw]);
  const hash = createHash('sha256').update(`${name}\n`).update(key).digest('hex').slice(0, 8);
  return `${hash}+${key.toString('base64')}`;
}
