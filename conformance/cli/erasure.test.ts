import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { askGatebook, SecondVerifier } from '../attacks/verifiers.js';
import { fixture, initialize, startGate, toolCall } from '../mcp/gate.js';
import { type Bench, finished, linesOf, openBench } from './gatebook.js';

const words = {
  alice: ['alice-4711', '@alice-w', 'tabby-of-alice', '203.0.113.7'],
  bob: ['bob-4712', '@bob-b', 'dog-of-bob', '203.0.113.8'],
} as const;
type Person = keyof typeof words;

const personal = ['--content', 'personal', '--max-size-mb', '0.005'];

function call(person: Person, i: number): object {
  const [user_id, username, secret, ip] = words[person];
  const output = i === 0 ? secret.repeat(10_000) : secret;
  return {
    event_type: 'tool_execution',
    actor: { user_id, username, ip },
    action: { phase: 'outcome', tool: 'pets', command: `feed ${secret}`, arguments: { secret, i } },
    result: { success: false, error: `no ${secret}`, output },
  };
}

async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const files: string[] = [];
  for (const name of names) {
    const file = join(folder, name);
    if ((await stat(file).catch(() => undefined))?.isFile()) files.push(file);
  }
  return files;
}

/** The files below the log and keys folders that hold one of a person's words, compressed or not. */
async function filesWith(bench: Bench, person: Person): Promise<string[]> {
  const found: string[] = [];
  for (const file of [...(await filesBelow(bench.log)), ...(await filesBelow(bench.keys))]) {
    const bytes = await readFile(file);
    const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
    const sealed = [plain, Buffer.from(plain.toString('latin1').replaceAll('\\', ''), 'latin1')];
    if (words[person].some((word) => sealed.some((each) => each.includes(word)))) found.push(file);
  }
  return found;
}

interface Opened {
  readonly seq: number;
  readonly actor?: { readonly user_id?: string };
  readonly opened: Readonly<Record<string, string>>;
  readonly unopened: Readonly<Record<string, string>>;
}

async function openedOf(bench: Bench, user: string): Promise<Opened[]> {
  return (await bench.records(['--user', user, '--open'])) as unknown as Opened[];
}

interface Erasure {
  readonly subjects: readonly string[];
  readonly contents: number;
  readonly unreached: {
    readonly records: { readonly count: number };
    readonly files: readonly string[];
  };
}

async function erase(bench: Bench, user: string, ...more: string[]): Promise<Erasure> {
  const ran = await bench.run(['audit', 'erase', '--user', user, '--json', ...more]);
  expect(ran.code, ran.stderr).toBe(0);
  return JSON.parse(ran.stdout) as Erasure;
}

let python: SecondVerifier;
beforeAll(() => {
  python = new SecondVerifier();
});
afterAll(() => python.close());

/** Both verifiers, at both levels. */
async function expectSound(bench: Bench): Promise<void> {
  const keys = [join(bench.keys, 'public-key')];
  const hmacKey = join(bench.keys, 'initial-hmac-key');
  for (const brought of [{ keys }, { keys, hmacKey }]) {
    expect(await askGatebook(bench.log, brought)).toMatchObject({ verdict: 'ok', exit: 0 });
    expect(await python.ask(bench.log, brought)).toMatchObject({ verdict: 'ok', exit: 0 });
  }
}

describe('a log with alice and bob', () => {
  let bench: Bench;
  let pseudonym: string;
  beforeAll(async () => {
    bench = await openBench();
    const events = Array.from({ length: 12 }, (_, i) =>
      call(i % 2 === 0 ? 'alice' : 'bob', i >> 1),
    );
    const input = events.map((event) => `${JSON.stringify(event)}\n`).join('');
    const ran = await bench.run(['record', ...personal], { input });
    expect(ran.code, ran.stderr).toBe(0);
    const [user, name, secret] = words.alice;
    const options = ['--user', user, '--channel', 'chat'];
    const server = [process.execPath, fixture('tap-server.mjs'), join(bench.folder, 'tap')];
    const gate = startGate(bench, server, { options });
    gate.send(initialize);
    await gate.answer('init');
    gate.send(toolCall(1, 'echo', { name, secret, long: secret.repeat(9_000) }));
    await gate.answer(1);
    gate.child.stdin.end();
    expect((await gate.ended).code).toBe(0);
    const segments = await readdir(join(bench.log, 'segments'));
    expect(segments.filter((each) => each.endsWith('.jsonl')).length).toBeGreaterThan(2);
  });
  afterAll(() => bench.remove());

  it('holds none of their words in plain text', async () => {
    expect(await filesWith(bench, 'alice')).toEqual([]);
    expect(await filesWith(bench, 'bob')).toEqual([]);
  });

  it('finds hers by user id and by username, and opens them with the keys', async () => {
    const [user, name, secret] = words.alice;
    const hers = await openedOf(bench, name);
    expect(hers.length).toBeGreaterThanOrEqual(8);
    expect((await openedOf(bench, user)).map(({ seq }) => seq)).toEqual(hers.map(({ seq }) => seq));
    pseudonym = hers[0]!.actor!.user_id!;
    expect(pseudonym).toMatch(/^psn_[0-9a-f]{32}$/);
    for (const record of hers) {
      expect(record.unopened).toEqual({});
      expect(record.opened['actor.user_id']).toBe(user);
      expect(record.actor?.user_id).toBe(pseudonym);
    }
    expect(hers[0]!.opened['result.output']).toBe(JSON.stringify(secret.repeat(10_000)));
    const passed = hers.find(({ opened }) => opened['result.output']?.includes('content'));
    expect(passed?.opened['result.output']).toContain(secret.repeat(9_000));
    const table = await bench.run(['audit', '--user', name, '--open'], { env: { COLUMNS: '200' } });
    expect(table.stdout).toContain(user);
  });

  it('says before what would go, and erases nothing', async () => {
    const survey = await erase(bench, words.alice[1], '--dry-run');
    expect(survey).toMatchObject({ dry_run: true, subjects: [pseudonym] });
    expect(survey.unreached).toMatchObject({ records: { count: 0 }, files: [] });
    expect(await openedOf(bench, words.alice[1])).not.toEqual([]);
  });

  it('erases her through the process that writes, which knows her no more', async () => {
    const writer = bench.start(['record']);
    const said = finished(writer);
    writer.stdin.write(`${JSON.stringify(call('alice', 7))}\n`);
    await once(writer.stdout, 'data');
    const his = `${JSON.stringify(call('bob', 0))}\n`;
    expect((await bench.run(['record'], { input: his })).code).toBe(0);
    const [first, , , , , , last] = await openedOf(bench, words.bob[0]);
    expect(last?.opened['result.output']).toBe(first?.opened['result.output']);
    expect(last?.opened['result.output']).toHaveLength(100_002);
    const erased = await erase(bench, words.alice[1]);
    expect(erased.subjects).toEqual([pseudonym]);
    expect(erased.contents).toBeGreaterThanOrEqual(9);
    expect(await openedOf(bench, words.alice[1])).toEqual([]);
    expect(await filesWith(bench, 'alice')).toEqual([]);
    // She comes again as somebody else, and goes again.
    writer.stdin.end(`${JSON.stringify(call('alice', 8))}\n`);
    expect((await said).code).toBe(0);
    const [again] = await openedOf(bench, words.alice[0]);
    expect(again?.actor?.user_id).not.toBe(pseudonym);
    expect((await erase(bench, words.alice[0])).contents).toBe(1);
  });

  it('still stands as it was, without her', async () => {
    await expectSound(bench);
    expect(await filesWith(bench, 'alice')).toEqual([]);
    for (const word of words.alice) expect(await bench.records(['--user', word])).toEqual([]);
    const hers = await openedOf(bench, pseudonym);
    expect(hers.length).toBeGreaterThanOrEqual(9);
    for (const { opened, unopened } of hers) {
      expect(opened).toEqual({});
      expect(new Set(Object.values(unopened))).toEqual(new Set(['erased']));
    }
    const his = await openedOf(bench, words.bob[1]);
    expect(his).toHaveLength(7);
    for (const { opened, unopened } of his) {
      expect(Object.keys(opened)).toHaveLength(7);
      expect(unopened).toEqual({});
    }
    const records = await bench.records(['--type', 'log.erased']);
    expect(records[0]?.details).toMatchObject({ subjects: [pseudonym] });
    const status = JSON.parse((await bench.run(['audit', 'status', '--json'])).stdout) as object;
    expect(status).toMatchObject({
      content: { mode: 'personal', subjects: 1, erasure_pending: false },
    });
  });

  it('never shows content that was changed or put in another place', async () => {
    const folder = join(bench.log, 'content');
    const [name = ''] = (await readdir(folder)).sort();
    const file = join(folder, name);
    const lines = linesOf(await readFile(file, 'utf8')).map((line) => JSON.parse(line) as object);
    const sealed = lines.filter((line) => 'data' in line) as { ref: string; data: string }[];
    const [a, b] = sealed;
    const edited = lines.map((line) => {
      if (line === a) return { ...b, ref: a?.ref };
      return line === b ? { ...a, ref: b?.ref } : line;
    });
    await writeFile(file, edited.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const his = await openedOf(bench, words.bob[0]);
    const states = his.flatMap(({ unopened }) => Object.values(unopened));
    expect(states).toEqual(Array.from({ length: 12 }, () => 'altered'));
    const ran = await bench.run(['audit', 'verify', '--contents']);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/12 .*altered/);
    await expectSound(bench);
  });
});

describe('an erasure', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench.remove());

  it('lists what it cannot reach', async () => {
    await bench.record([call('alice', 1), call('bob', 1)]);
    const input = `${JSON.stringify(call('alice', 2))}\n`;
    expect((await bench.run(['record', '--content', 'personal'], { input })).code).toBe(0);
    const plain = { event_type: 'acme.note', details: { about: words.alice[0] } };
    await bench.record([plain]);
    const survey = await erase(bench, words.alice[0], '--dry-run');
    expect(survey).toMatchObject({ contents: 1, unreached: { records: { count: 2 } } });
    const ran = await bench.run(['audit', 'erase', '--user', words.alice[0]]);
    expect(ran.stdout).toMatch(/1 key and 1 content erased\nnot reached:\n {2}2 records/);
    expect((await bench.records(['--user', words.alice[0]])).length).toBe(1);
  });

  it('is refused where a legal hold may cover her, unless it is said despite it', async () => {
    const retention = ['--retention-days', '30', '--hold', `actor=${words.alice[0]}`];
    const input = [call('alice', 0), call('bob', 0)].map((each) => `${JSON.stringify(each)}\n`);
    const args = ['record', '--content', 'keep', ...retention];
    expect((await bench.run(args, { input: input.join('') })).code).toBe(0);
    const ran = await bench.run(['audit', 'erase', '--user', words.alice[0]]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/hold.*--despite-hold.*\(held\)/);
    expect((await openedOf(bench, words.alice[0]))[0]?.unopened).toEqual({});
    expect((await erase(bench, words.bob[0])).contents).toBe(1);
    expect((await erase(bench, words.alice[0], '--despite-hold')).contents).toBe(1);
    expect((await openedOf(bench, words.alice[0]))[0]?.unopened).toEqual({
      'result.output': 'erased',
    });
  });

  it('killed at some instant is finished by the next opening', async () => {
    const events = Array.from({ length: 8 }, (_, i) => call(i % 2 === 0 ? 'alice' : 'bob', i >> 1));
    const input = events.map((event) => `${JSON.stringify(event)}\n`).join('');
    for (const afterMs of [250, 350]) {
      await bench.run(['record', ...personal], { input });
      const child = bench.start(['audit', 'erase', '--user', words.alice[0]]);
      const ended = finished(child);
      await sleep(afterMs);
      child.kill('SIGKILL');
      await ended;
      expect((await bench.run(['audit', 'checkpoint'])).code).toBe(0);
      // All of hers or nothing: she is known, or she is not.
      expect([0, 4]).toContain((await openedOf(bench, words.alice[0])).length);
      const pending = await bench.run(['audit', 'status', '--json']);
      expect(JSON.parse(pending.stdout)).toMatchObject({ content: { erasure_pending: false } });
      await erase(bench, words.alice[0]);
      expect(await filesWith(bench, 'alice')).toEqual([]);
    }
    await expectSound(bench);
    expect(await openedOf(bench, words.bob[0])).toHaveLength(8);
  });

  it('by another option than the writer has is refused before anything is recorded', async () => {
    const writer = bench.start(['record']);
    const said = finished(writer);
    writer.stdin.write(`${JSON.stringify({ event_type: 'acme.note' })}\n`);
    await once(writer.stdout, 'data');
    const input = `${JSON.stringify(call('alice', 1))}\n`;
    const ran = await bench.run(['record', '--content', 'personal'], { input });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/content off, not personal/);
    writer.stdin.end();
    await said;
    expect(await filesWith(bench, 'alice')).toEqual([]);
  });
});
