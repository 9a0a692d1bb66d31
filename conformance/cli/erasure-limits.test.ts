import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SecondVerifier } from '../attacks/verifiers.js';
import { type Bench, finished, linesOf, openBench } from './gatebook.js';
import { call, erase, expectSound, filesWith, openedOf, personal, words } from './people.js';

let python: SecondVerifier;
beforeAll(() => {
  python = new SecondVerifier();
});
afterAll(() => python.close());

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
    await expectSound(bench, python);
    expect(await openedOf(bench, words.bob[0])).toHaveLength(8);
  });

  it('knows each record once after the writer was killed while others handed in', async () => {
    const writer = bench.start(['record', '--content', 'personal']);
    const died = finished(writer);
    writer.stdin.on('error', () => {});
    writer.stdin.write(`${JSON.stringify(call('bob', 1))}\n`);
    await once(writer.stdout, 'data');
    const events = Array.from({ length: 1_500 }, (_, i) => call('alice', i % 100));
    const client = bench.start(['record']);
    const said = finished(client);
    client.stdout.once('data', () => writer.kill('SIGKILL'));
    client.stdin.end(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    const { code, stdout, stderr } = await said;
    await died;
    const refused = linesOf(stdout).filter((line) => !line.startsWith('{"ok":true'));
    expect(code, `${refused[0]} ${stderr}`).toBe(0);
    const seqs = linesOf(stdout).map((line) => (JSON.parse(line) as { seq: number }).seq);
    expect(new Set(seqs).size).toBe(1_500);
    expect(await bench.records(['--user', words.alice[0]])).toHaveLength(1_500);
    const ran = await bench.run(['audit', 'verify', '--contents']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/contents: 9,006 opened\n/);
    // What was sealed for records that the killed writer did not come to write goes too.
    expect((await erase(bench, words.alice[0])).contents).toBeGreaterThanOrEqual(1_500);
    expect(await filesWith(bench, 'alice')).toEqual([]);
    await expectSound(bench, python);
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
