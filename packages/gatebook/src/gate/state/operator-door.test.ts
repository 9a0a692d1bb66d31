import * as fs from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { askHolder } from '../operator-client.js';
import type { Question } from './approvals.js';
import { GateState } from './gate-state.js';
import { clientsMax, OperatorDoor } from './operator-door.js';
import { requestBytesMax } from './operator-message.js';

const question: Question = {
  session: 'ses_1',
  actor: '["desk","ann",null]',
  tool: 'fs/write_file',
  server: 'fs',
  rule: 'ask tool:*',
  rules: ['ask tool:*'],
  digest: 'd'.repeat(64),
};
const shown = { risk: 'high', reasons: ['it writes'], text: '{"path":"a"}', bytes: 12 };
const gate = { client: 'a'.repeat(32), pid: 4_242 };
const specs = [
  { name: 'per-user', rate: { count: 4, perMs: 86_400_000 }, scope: ['actor', 'tool'] as const },
];

let folder: string;
let state: GateState;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'gatebook-door-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  state = new GateState();
});

async function opened(place = folder, of = state): Promise<OperatorDoor> {
  const door = new OperatorDoor(place, of);
  onTestFinished(() => door.close());
  await door.open();
  return door;
}

/** As a gate says it to the holder. */
async function said<T>(message: object): Promise<T> {
  return JSON.parse(await state.answer(JSON.stringify(message), gate)) as T;
}

async function askedFor(): Promise<{ id: string; unreachable?: string }> {
  return await said({ op: 'ask', question, shown });
}

test('the socket is private', async () => {
  const door = await opened();
  const stat = fs.lstatSync(join(folder, 'operator'));
  expect(stat.isSocket()).toBe(true);
  expect(stat.mode & 0o777).toBe(0o600);
  expect(fs.readdirSync(folder)).toEqual(['operator']);
  door.close();
  expect(fs.readdirSync(folder)).toEqual([]);
  expect(await askHolder(folder, 'approvals', {})).toBeUndefined();
});

test('an operator sees a question whole, and decides it', async () => {
  await opened();
  const { id, unreachable } = await askedFor();
  expect(unreachable).toBeUndefined();
  const listed = await askHolder(folder, 'approvals', {});
  expect(listed).toMatchObject({ gates: [4_242], pendingCount: 1, approvalsCount: 0 });
  const found = await askHolder(folder, 'question', { id });
  expect(found?.pending).toMatchObject({ ...question, ...shown, id, pid: 4_242 });
  const answer = { id, approved: true, reach: 'session', by: 'ann' } as const;
  const decided = await askHolder(folder, 'decide', answer);
  expect(decided?.approval).toMatchObject({ id, approved: true, by: 'ann', how: 'command' });
  expect(await said({ op: 'news', id })).toMatchObject({ state: 'decided' });
  expect(await said({ op: 'find', question })).toMatchObject({ approval: { id } });
  expect(await askHolder(folder, 'decide', answer)).toEqual({});
  expect(await askHolder(folder, 'revoke', {})).toEqual({ revoked: 1 });
  expect(await said({ op: 'find', question })).toEqual({});
});

test('an operator sees what is used of each bucket, and makes them full', async () => {
  await opened();
  const { id: limits } = await said<{ id: string }>({ op: 'limits', specs });
  const request = { actor: 'ann', tool: 'x' };
  for (let calls = 0; calls < 3; calls++) await said({ op: 'take', limits, request });
  await said({ op: 'enter', session: 's', call: 'x', rules: { calls: 0 } });
  const before = await askHolder(folder, 'limits', {});
  expect(before).toMatchObject({ stopped: [{ session: 's', why: 'calls' }], stoppedCount: 1 });
  expect(before?.limits).toMatchObject([{ spec: { name: 'per-user' }, burst: 4, bucketsCount: 1 }]);
  const [bucket] = before!.limits[0]!.buckets;
  expect(bucket?.key).toEqual(request);
  expect(bucket?.used).toBeCloseTo(3, 1);
  expect(bucket?.left).toBeCloseTo(1, 1);
  expect(bucket?.fullInMs).toBeGreaterThan(60_000_000);
  expect(await askHolder(folder, 'reset', { limit: 'other' })).toEqual({ limits: 0, sessions: 0 });
  expect(await askHolder(folder, 'reset', { session: 's' })).toEqual({ limits: 0, sessions: 1 });
  expect(await askHolder(folder, 'reset', {})).toEqual({ limits: 1, sessions: 0 });
  const after = await askHolder(folder, 'limits', {});
  expect(after).toMatchObject({ limits: [{ buckets: [] }], stopped: [] });
});

test('what is listed is cut, so that an answer stays small', async () => {
  await opened();
  const long = 'x'.repeat(40_000);
  for (let count = 0; count < 60; count++) {
    const session = `s${Math.floor(count / 10)}`;
    const each = { ...question, session, digest: String(count), tool: long };
    await said({ op: 'ask', question: each, shown: { ...shown, text: 'y'.repeat(16_000) } });
  }
  const listed = await askHolder(folder, 'approvals', {});
  expect(listed?.pendingCount).toBe(60);
  expect(JSON.stringify(listed).length).toBeLessThan(100_000);
});

/** What the socket says to this line, if anything. */
async function raw(line: string): Promise<string> {
  const socket = connect(join(folder, 'operator'));
  let text = '';
  socket.on('data', (part) => {
    text += part.toString();
  });
  socket.on('error', () => undefined);
  socket.write(line);
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

test('what is no request is refused, and the next one is answered', async () => {
  await opened();
  for (const line of [
    'x\n',
    '{"op":"toString"}\n',
    '{"op":"decide","id":"a","approved":1}\n',
    '{"op":"decide","id":"a","approved":true,"by":"ann","reach":"ever"}\n',
    '{"op":"ask"}\n',
    `{"op":"limits","x":"${'x'.repeat(requestBytesMax)}"}\n`,
    'x'.repeat(requestBytesMax + 1),
  ]) {
    expect(JSON.parse(await raw(line))).toMatchObject({ error: { code: 'bad_message' } });
  }
  expect(await askHolder(folder, 'limits', {})).toMatchObject({ limits: [] });
});

test('so many operators are let in at a time', async () => {
  await opened();
  const waiting: Socket[] = [];
  onTestFinished(() => {
    for (const socket of waiting) socket.destroy();
  });
  for (let count = 0; count < clientsMax; count++) {
    const socket = connect(join(folder, 'operator'));
    waiting.push(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
  }
  await expect(askHolder(folder, 'limits', {})).rejects.toThrow('16 operators are here already');
  waiting.pop()?.destroy();
  await expect
    .poll(() => askHolder(folder, 'limits', {}).catch(() => undefined), { timeout: 20_000 })
    .toBeDefined();
});

test('a path longer than the kernel takes works', async () => {
  const long = join(folder, 'x'.repeat(100), 'y'.repeat(100));
  fs.mkdirSync(long, { recursive: true, mode: 0o700 });
  await opened(long);
  expect(fs.lstatSync(join(long, 'operator')).isSocket()).toBe(true);
  expect(await askHolder(long, 'limits', {})).toMatchObject({ limits: [] });
});

test('a folder that is open to others has no socket, and whoever asks is told', async () => {
  fs.chmodSync(folder, 0o755);
  await opened();
  expect(fs.readdirSync(folder)).toEqual([]);
  expect((await askedFor()).unreachable).toMatch(/open to other users \(mode 755\)/);
  await expect(askHolder(folder, 'approvals', {})).rejects.toThrow('open to other users');
});

test('a socket that was removed is made again, and says no more that it is not there', async () => {
  fs.chmodSync(folder, 0o755);
  const door = await opened();
  fs.chmodSync(folder, 0o700);
  door.look();
  await expect.poll(() => fs.existsSync(join(folder, 'operator')), { timeout: 20_000 }).toBe(true);
  await expect
    .poll(async () => (await askedFor()).unreachable, { timeout: 20_000 })
    .toBeUndefined();
});

test('who holds next has the socket, and who held before leaves it there', async () => {
  const before = await opened();
  fs.writeFileSync(join(folder, 'other'), '');
  const next = new GateState();
  await opened(folder, next);
  await said({ op: 'ask', question, shown });
  expect(await askHolder(folder, 'approvals', {})).toMatchObject({ pendingCount: 0 });
  before.close();
  expect(await askHolder(folder, 'approvals', {})).toMatchObject({ pendingCount: 0 });
});

test('a socket that a killed holder left is nobody', async () => {
  const door = await opened();
  fs.renameSync(join(folder, 'operator'), join(folder, 'kept'));
  door.close();
  fs.renameSync(join(folder, 'kept'), join(folder, 'operator'));
  expect(await askHolder(folder, 'approvals', {})).toBeUndefined();
  await opened();
  expect(await askHolder(folder, 'approvals', {})).toBeDefined();
});
