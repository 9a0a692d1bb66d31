import * as fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkContents } from './content-check.js';
import { contentFolder, contentPath, listContents } from './content-file.js';
import { encodeContentLines } from './content-lines.js';
import { encodeContent } from './content-sealing.js';
import { encodeEvent } from './record.js';
import { entryOf, findRecords } from './resend.js';
import { listSegments } from './segment.js';
import { type KnownSubject, SubjectKeys, subjectsFolder } from './subject-keys.js';
import { audit, openDirect, type Told } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import { temporaryLog } from './testing/folders.js';
import { alice, append, bob, call, calls, filesWith, opened, recordsOf } from './testing/people.js';

pretendToSync();

describe('personal content', () => {
  test('stands in no file in plain text, and opens with the keys', () => {
    const log = temporaryLog();
    const writer = openDirect(log, { content: 'personal', segmentBytesMax: 8_192 });
    append(writer, [call(alice, 1), call(bob, 2), call(alice, 3, 200_000)]);
    for (let i = 4; i < 40; i++) append(writer, [call(i % 2 === 0 ? alice : bob, i)]);
    writer.close();
    expect(filesWith(log, [...alice, ...bob, '203.0.113.'])).toEqual([]);
    expect(fs.readdirSync(contentFolder(log.dir)).length).toBeGreaterThan(2);
    for (const [at, record] of calls(log).entries()) {
      const user = at === 0 || (at >= 2 && at % 2 === 1) || at === 2 ? alice : bob;
      const found = Object.fromEntries(opened(log, record).map((one) => [one.member, one.content]));
      expect(Object.keys(found)).toHaveLength(7);
      expect(JSON.stringify(found)).toContain(String(found['actor.user_id']));
      expect([alice[0], bob[0]]).toContain(found['actor.user_id']);
      if (at < 3) expect(found['actor.username']).toBe(user[1]);
    }
    const big = Object.fromEntries(
      opened(log, calls(log)[2]!).map((one) => [one.member, one.content]),
    );
    expect(big['result.output']).toBe(JSON.stringify(alice[1].repeat(40_000)));
  });

  test('of one user has one pseudonym, of another another', () => {
    const log = temporaryLog();
    const writer = openDirect(log, { content: 'personal' });
    append(writer, [call(alice, 1), call(bob, 2), call(alice, 3)]);
    writer.close();
    const [first, second, third] = calls(log).map((record) => record.actor?.user_id);
    expect(first).toMatch(/^psn_[0-9a-f]{32}$/);
    expect(third).toBe(first);
    expect(second).not.toBe(first);
  });

  test.each([
    ['cut to nothing', ''],
    ['cut in its middle', '{"nonce":"AAAA'],
    ['something else', 'null'],
    [
      'sealed for another',
      '{"nonce":"AAAAAAAAAAAAAAAA","data":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}',
    ],
  ])('is not opened by names that are %s, and the file is told', async (_, text) => {
    const log = temporaryLog();
    const writer = openDirect(log, { content: 'personal' });
    append(writer, [call(alice, 1)]);
    writer.close();
    const folder = subjectsFolder(log.keysDir);
    const names = fs.readdirSync(folder).find((name) => name.endsWith('.names'))!;
    fs.writeFileSync(`${folder}/${names}`, text);
    await expect(checkContents(log)).rejects.toMatchObject({
      code: 'log_damaged',
      message: expect.stringContaining(names),
    });
  });

  test('of who has a username only has a pseudonym too; what nobody stands behind is not theirs', async () => {
    const log = temporaryLog();
    const writer = openDirect(log, { content: 'personal' });
    const output = 'said'.repeat(10);
    append(writer, [
      { eventType: 'a.b', actor: { channel: 'c', username: 'carol' }, result: { output } },
      { eventType: 'a.b', result: { output } },
    ]);
    expect(Object.keys(recordsOf(log)[1]!.actor!)).toEqual(['channel', 'user_id', 'username']);
    expect(writer.erase({ user: 'carol', despiteHold: false }).contents).toBe(1);
    writer.close();
    expect((await checkContents(log)).members).toMatchObject({ erased: 2, opened: 1 });
  });

  test('keeps the mode of the book where an opening says nothing, and off keeps nothing', () => {
    const log = temporaryLog();
    openDirect(log, { content: 'personal' }).close();
    const writer = openDirect(log);
    expect(writer.contentMode).toBe('personal');
    append(writer, [call(alice, 1)]);
    writer.close();
    const off = openDirect(log, { content: 'off' });
    append(off, [call(bob, 2, 200_000)]);
    off.close();
    const [hers, his] = calls(log);
    expect(hers?.actor?.user_id).toMatch(/^psn_/);
    expect(his?.actor?.user_id).toBe(bob[0]);
    expect(opened(log, his!).map(({ state }) => state)).toEqual(['missing']);
  });

  test('goes with the segment whose records had it', async () => {
    const log = temporaryLog();
    const retention = { recordsMax: 60 };
    const options = { content: 'personal', segmentBytesMax: 32_768, retention } as const;
    const writer = openDirect(log, options);
    for (let i = 0; i < 40; i++) {
      append(
        writer,
        Array.from({ length: 10 }, (_, k) => call(k % 2 === 0 ? alice : bob, i)),
      );
    }
    const before = listContents(log.dir).length;
    expect(writer.prune({ dryRun: false, confirmClock: false }).length).toBeGreaterThan(2);
    writer.close();
    const segments = listSegments(log.dir).map(({ firstSeq }) => firstSeq);
    const left = listContents(log.dir).map(({ firstSeq }) => firstSeq);
    expect(left.length).toBeLessThan(before);
    expect(left.filter((firstSeq) => !segments.includes(firstSeq))).toEqual([]);
    expect((await checkContents(log)).members).toMatchObject({ missing: 0, altered: 0 });
    expect((await audit(log)).verdict).toBe('ok');
  });

  test('is found again by who hands it in again', async () => {
    const log = temporaryLog();
    const writer = openDirect(log, { content: 'personal' });
    const events = [call(alice, 1, 200_000), { eventType: 'a.b', actor: { userId: 'x' } } as const];
    const bodies = events.map((event) => encodeEvent(event, 'test'));
    const batch = bodies.map(({ text, openings }) => `${encodeContentLines(openings)}${text}\n`);
    const ignore = { durable: () => {}, failed: () => {} };
    writer.append(Buffer.from(batch.join('')), 2, ignore);
    const entries = bodies.map(({ text }) => entryOf(Buffer.from(text)));
    expect(await findRecords(log, -1, entries)).toEqual([1, 2]);
    const others = entries.map(([id, , emitter]) => [id, '0'.repeat(64), emitter] as const);
    expect(await findRecords(log, -1, others)).toEqual(['conflict', 'conflict']);
    writer.erase({ user: alice[0], despiteHold: false });
    expect(await findRecords(log, -1, entries)).toEqual(['unknown', 2]);
    writer.close();
  });

  test('that is not what it was committed to is refused, and the rest of the batch is not', () => {
    const log = temporaryLog();
    const writer = openDirect(log, { content: 'keep' });
    const big = encodeEvent(call(alice, 1, 200_000), 'test');
    const other = big.openings.map((opening) => ({ ...opening, content: 'something else' }));
    const entry = (openings: typeof big.openings): string =>
      `${encodeContentLines(openings)}${big.text}\n`;
    const told: Told[] = [];
    const batch = entry(big.openings) + entry(other) + entry(big.openings);
    writer.append(Buffer.from(batch), 3, {
      durable: (firstSeq, count) => told.push({ firstSeq, count }),
      failed: (count, error) => told.push({ count, error }),
    });
    writer.close();
    expect(told).toMatchObject([
      { firstSeq: 1, count: 1 },
      { count: 1, error: { code: 'wrong_type' } },
      { firstSeq: 2, count: 1 },
    ]);
    expect(calls(log)).toHaveLength(2);
    expect(opened(log, calls(log)[0]!).map(({ state }) => state)).toEqual(['opened']);
  });

  test.each([
    ['two lines change places', (lines: string[]) => [lines[1]!, lines[0]!, ...lines.slice(2)], 0],
    ['the sealed bytes change places', swapSealed, 2],
    ['a byte is changed', flipByte, 1],
    ['it is said to be erased', sayErased, 0],
  ] as const)('%s: nothing but what was committed to is shown', async (_, edit, records) => {
    const log = temporaryLog();
    const writer = openDirect(log, { content: 'personal' });
    append(writer, [call(alice, 1), call(alice, 2), call(bob, 3)]);
    writer.close();
    const file = contentPath(log.dir, 0);
    const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
    fs.writeFileSync(file, `${edit(lines).join('\n')}\n`);
    const report = await checkContents(log);
    expect(report.members.altered).toBe(records * 6);
    const lost = edit === sayErased ? 1 : 0;
    expect(report.members.missing).toBe(lost * 6);
    expect(report.members.opened).toBe((3 - records - lost) * 6);
    expect((await audit(log)).verdict).toBe('ok');
  });
});

test('what is sealed anew by who has the keys is held against the commitment', async () => {
  const log = temporaryLog();
  const writer = openDirect(log, { content: 'personal' });
  append(writer, [call(alice, 1)]);
  writer.close();
  const origin = String(recordsOf(log)[0]!.details!['origin']);
  const [{ subject }] = new SubjectKeys(log.keysDir, origin).find(alice[0]) as [KnownSubject];
  const { ref } = calls(log)[0]!.result!.output as { ref: string };
  const item = { ref, member: 'result.output', salt: Buffer.alloc(32), content: 'never said' };
  fs.writeFileSync(contentPath(log.dir, 0), encodeContent(subject, origin, ref, { items: [item] }));
  expect((await checkContents(log)).members).toMatchObject({ opened: 0, altered: 6 });
});

function swapSealed(lines: string[]): string[] {
  const [a, b] = lines.map((line) => JSON.parse(line) as object);
  const { ref: first } = a as { ref: string };
  const { ref: second } = b as { ref: string };
  return [
    JSON.stringify({ ...b, ref: first }),
    JSON.stringify({ ...a, ref: second }),
    ...lines.slice(2),
  ];
}

function sayErased(lines: string[]): string[] {
  const { ref, subject } = JSON.parse(lines[0]!) as { ref: string; subject: string };
  return [JSON.stringify({ ref, erased: subject }), ...lines.slice(1)];
}

function flipByte(lines: string[]): string[] {
  const line = JSON.parse(lines[0]!) as { data: string };
  const data = Buffer.from(line.data, 'base64');
  data[5]! ^= 1;
  return [JSON.stringify({ ...line, data: data.toString('base64') }), ...lines.slice(1)];
}
