import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { finished, gatebookBin, type Ran, run } from '../cli/gatebook.js';
import { readableCopy } from '../cli/readable-copy.js';
import { readRecords } from '../crash/book.js';

/** Row 15: `gatebook serve` under another user: the agent's user may append, and nothing else. */

const isRoot = process.getuid?.() === 0;
/** Users and a group that nobody else has. */
const writerUid = 61_001;
const agentUid = 61_002;
const strangerUid = 61_003;
const agentsGid = 61_102;

interface User {
  readonly uid: number;
  readonly gid: number;
}
const writer: User = { uid: writerUid, gid: agentsGid };
const agent: User = { uid: agentUid, gid: agentsGid };
const stranger: User = { uid: strangerUid, gid: strangerUid };

let root: string;
/** The program as every user may start it. */
let program = gatebookBin;
let socket: string;
let log: string;
let keys: string;
let tokenFile: string;
let token: string;
let server: ReturnType<typeof start>;

function start(args: readonly string[], user?: User, env: Record<string, string> = {}) {
  const clean = { PATH: process.env['PATH'] ?? '', HOME: join(root, 'nobody') };
  return spawn(process.execPath, [program, ...args], {
    ...user,
    env: { ...clean, ...env },
    cwd: '/',
  });
}

async function runAs(
  user: User | undefined,
  args: readonly string[],
  input = '',
  env: Record<string, string> = {},
): Promise<Ran> {
  const child = start(args, user, env);
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return await finished(child);
}

async function serve(user?: User): Promise<void> {
  const group = user === undefined ? [] : ['--group', String(agentsGid)];
  server = start(
    [
      'serve',
      '--log',
      log,
      '--keys',
      keys,
      '--socket',
      socket,
      '--token-file',
      tokenFile,
      '--json',
      ...group,
    ],
    user,
  );
  const facts = await new Promise<string>((resolve) => {
    server.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8')));
    server.once('close', () => resolve('{}'));
    server.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
  });
  expect(JSON.parse(facts)).toMatchObject({ log, socket, pid: server.pid });
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'gbs-'));
  chmodSync(root, 0o755);
  const home = join(root, 'w');
  const place = join(root, 'run');
  for (const folder of [home, place]) mkdirSync(folder, { mode: 0o755 });
  [socket, log, keys] = [join(place, 's'), join(home, 'log'), join(home, 'keys')];
  tokenFile = join(home, 'tokens');
  token = (await run(['token', 'agent-7', '--token-file', tokenFile])).stdout.trim();
  if (!isRoot) {
    await serve();
    return;
  }
  program = readableCopy(join(root, 'program'));
  for (const each of [home, place, tokenFile]) chownSync(each, writerUid, agentsGid);
  await serve(writer);
});

afterAll(async () => {
  server.kill('SIGTERM');
  // One that never started has closed already, and says nothing more.
  if (server.exitCode === null) await finished(server);
  expect(server.exitCode).toBe(0);
  rmSync(root, { recursive: true, force: true });
});

const event = (details: object): string =>
  `${JSON.stringify({ event_type: 'test.event', details })}\n`;

describe('the token', () => {
  test('is the emitter of each record, which the client cannot choose', async () => {
    const env = { GATEBOOK_SOCKET: socket, GATEBOOK_TOKEN: token };
    const user = isRoot ? agent : undefined;
    const ran = await runAs(user, ['record'], event({ own: 1 }), env);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    const { seq } = JSON.parse(ran.stdout) as { seq: number };
    expect(readRecords(log)[seq]).toMatchObject({ emitter: 'agent-7', details: { own: 1 } });
    const other = '{"event_type":"test.event","emitter":"somebody else"}\n';
    const refused = await runAs(user, ['record'], other, env);
    expect(JSON.parse(refused.stdout)).toMatchObject({ ok: false, error: { member: 'emitter' } });
  });

  test('must be there and be right', async () => {
    const user = isRoot ? agent : undefined;
    const none = await runAs(user, ['record', '--socket', socket], event({}));
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('(bad_token)');
    const env = { GATEBOOK_TOKEN: `gbt_${'A'.repeat(43)}` };
    const wrong = await runAs(user, ['record', '--socket', socket], event({}), env);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('(bad_token)');
  });

  test('is not passed on to the command that is started', async () => {
    // A policy would ask about a program that is given on the command line.
    const unrated = { GATEBOOK_SECURITY_POLICY_ENABLED: 'false' };
    const env = { GATEBOOK_SOCKET: socket, GATEBOOK_TOKEN: token, ...unrated };
    const print = 'process.stdout.write(String(process.env.GATEBOOK_TOKEN))';
    const user = isRoot ? agent : undefined;
    const ran = await runAs(user, ['exec', '--', process.execPath, '-e', print], '', env);
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: 'undefined' });
    const intent = readRecords(log).findLast((one) => one.event_type === 'command_execution');
    expect(intent).toMatchObject({ emitter: 'agent-7' });
  });

  test('stands in no file in the clear, and is out when its line is', async () => {
    expect(readFileSync(tokenFile, 'utf8')).not.toContain(token);
    const extra = (await run(['token', 'agent-8', '--token-file', tokenFile])).stdout.trim();
    const user = isRoot ? agent : undefined;
    const env = { GATEBOOK_SOCKET: socket, GATEBOOK_TOKEN: extra };
    const child = start(['record'], user, env);
    child.stdin.on('error', () => {});
    const first = new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdin.write(event({ revoked: 'not yet' }));
    await first;
    const kept = readFileSync(tokenFile, 'utf8')
      .split('\n')
      .filter((line) => !line.endsWith('agent-8'));
    writeFileSync(tokenFile, kept.join('\n'));
    const second = new Promise<Buffer>((resolve) => child.stdout.once('data', resolve));
    const again = setInterval(() => child.stdin.write(event({ revoked: 'now' })), 700);
    for (;;) {
      const answer = String(await new Promise((resolve) => child.stdout.once('data', resolve)));
      if (answer.includes('"ok":false')) {
        expect(answer).toContain('bad_token');
        break;
      }
    }
    clearInterval(again);
    void second;
    child.kill('SIGKILL');
    expect((await runAs(user, ['record'], event({}), env)).stderr).toContain('(bad_token)');
  });

  test('also gives a checkpoint, so that the agent can hold evidence', async () => {
    const env = { GATEBOOK_SOCKET: socket, GATEBOOK_TOKEN: token };
    const ran = await runAs(isRoot ? agent : undefined, ['audit', 'checkpoint'], '', env);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/^\S+\/gatebook\/[0-9a-f]{32}\n\d+\n/);
  });
});

/** What the agent's user tries with its own hands, as a small program. */
async function tries(user: User, code: string): Promise<string> {
  const program = `const fs = require('node:fs'); try { ${code}; process.stdout.write('done'); } catch (error) { process.stdout.write(error.code); }`;
  const child = spawn(process.execPath, ['-e', program], { ...user, cwd: '/', env: {} });
  child.stdin.end();
  return (await finished(child)).stdout;
}

describe.skipIf(!isRoot)('row 15: the agent’s user', () => {
  const quoted = JSON.stringify;

  test('can neither read nor change nor delete the log, the keys and the tokens', async () => {
    const segment = join(log, 'segments', `${'0'.repeat(20)}.jsonl`);
    for (const file of [segment, join(keys, 'signing-key.pem'), join(keys, 'head'), tokenFile]) {
      expect(await tries(agent, `fs.readFileSync(${quoted(file)})`), file).toBe('EACCES');
      expect(await tries(agent, `fs.appendFileSync(${quoted(file)}, 'x')`), file).toBe('EACCES');
      expect(await tries(agent, `fs.rmSync(${quoted(file)})`), file).toBe('EACCES');
    }
    for (const folder of [log, keys]) {
      expect(await tries(agent, `fs.readdirSync(${quoted(folder)})`), folder).toBe('EACCES');
      expect(await tries(agent, `fs.renameSync(${quoted(folder)}, '/tmp/gone')`)).toBe('EACCES');
    }
  });

  test('can neither remove nor replace the socket', async () => {
    expect(await tries(agent, `fs.rmSync(${quoted(socket)})`)).toBe('EACCES');
    expect(await tries(agent, `fs.renameSync(${quoted(socket)}, ${quoted(`${socket}2`)})`)).toBe(
      'EACCES',
    );
  });

  test('cannot write a record of the log’s own, rotate, or read what others wrote', async () => {
    const env = { GATEBOOK_SOCKET: socket, GATEBOOK_TOKEN: token };
    const own = await runAs(agent, ['record'], '{"event_type":"log.closed"}\n', env);
    expect(JSON.parse(own.stdout)).toMatchObject({ ok: false });
    const read = await runAs(agent, ['audit', '--log', log, '--keys', keys], '', env);
    expect(read.code).toBe(1);
    expect(read.stdout).toBe('');
  });

  test('a user outside the group is refused', async () => {
    const ran = await runAs(stranger, ['record', '--socket', socket], event({}), {
      GATEBOOK_TOKEN: token,
    });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('EACCES');
  });

  test('and the log verifies', async () => {
    const ran = await run(['audit', 'verify', '--log', log, '--keys', keys]);
    expect(ran, ran.stdout).toMatchObject({ code: 0 });
  });
});

describe.skipIf(!isRoot)('row 15: a log without serve', () => {
  test('another user gets nowhere, by the folders or by the socket', async () => {
    const own = mkdtempSync(join(tmpdir(), 'gbs-'));
    try {
      const places = ['--log', join(own, 'log'), '--keys', join(own, 'keys')];
      const holder = start(['serve', ...places, '--json']);
      const facts = JSON.parse(
        await new Promise<string>((resolve) => {
          holder.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8')));
        }),
      ) as { socket: string };
      const through = await runAs(stranger, ['record', '--socket', facts.socket], event({}));
      expect(through).toMatchObject({ code: 1, stdout: '' });
      const open = await runAs(stranger, ['record', ...places], event({}));
      expect(open).toMatchObject({ code: 1, stdout: '' });
      holder.kill('SIGTERM');
      expect((await finished(holder)).code).toBe(0);
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  });
});
