import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecondVerifier } from '../attacks/verifiers.js';
import { fixture, initialize, startGate, toolCall } from '../mcp/gate.js';
import { type Bench, finished, linesOf, openBench } from './gatebook.js';
import { call, erase, expectSound, filesWith, openedOf, personal, words } from './people.js';

let python: SecondVerifier;
beforeAll(() => {
  python = new SecondVerifier();
});
afterAll(() => python.close());

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
    await expectSound(bench, python);
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
    await expectSound(bench, python);
  });
});
