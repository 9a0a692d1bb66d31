import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkContents } from './content-check.js';
import { contentFolder, contentPath } from './content-file.js';
import { encodeContentLines } from './content-lines.js';
import { ContentReader, type OpenedMember } from './content-reader.js';
import { encodeContent } from './content-sealing.js';
import { surveyErasure } from './erasure-survey.js';
import type { AuditEvent } from './event.js';
import { encodeEvent } from './record.js';
import { entryOf, findRecords } from './resend.js';
import type { LogRecord } from './stored-record.js';
import { type KnownSubject, SubjectKeys } from './subject-keys.js';
import { audit, openDirect, type Told } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import { dieAt, pretendToSync, withFaults } from './testing/faults.js';
import { type Folders, linesOf, temporaryLog } from './testing/folders.js';
import type { Writer } from './writer.js';

pretendToSync();

type User = readonly [id: string, name: string];
const alice: User = ['alice-4711', '@alice'];
const bob: User = ['bob-4712', '@bob'];

function call([userId, username]: User, number: number, outputBytes = 10): AuditEvent {
  return {
    eventType: 'tool_execution',
    actor: { userId, username, ip: `203.0.113.${number % 250}` },
    action: { tool: 'read', command: `cat ${username}`, arguments: { of: userId, number } },
    result: { error: `no ${userId}`, output: username.repeat(outputBytes / 5) },
  };
}

/** As a log hands events to its writer. */
function batchOf(events: readonly AuditEvent[]): Buffer {
  const entries = events.map((event) => {
    const { text, openings } = encodeEvent(event, 'test');
    return `${encodeContentLines(openings)}${text}\n`;
  });
  return Buffer.from(entries.join(''));
}

function append(writer: Writer, events: readonly AuditEvent[]): Told[] {
  const told: Told[] = [];
  writer.append(batchOf(events), events.length, {
    durable: (firstSeq, count) => told.push({ firstSeq, count }),
    failed: (count, error) => told.push({ count, error }),
  });
  return told;
}

function recordsOf(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

function opened(log: Folders, record: LogRecord): OpenedMember[] {
  const origin = String(recordsOf(log)[0]!.details!['origin']);
  const firstSeq = fs
    .readdirSync(path.join(log.dir, 'segments'))
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => Number.parseInt(name, 10))
    .filter((first) => first <= record.seq)
    .sort((a, b) => a - b)
    .at(-1)!;
  return new ContentReader({ ...log, origin }).open(record, firstSeq);
}

function calls(log: Folders): LogRecord[] {
  return recordsOf(log).filter((record) => record.event_type === 'tool_execution');
}

/** Every file below both folders in which one of the words stands. */
function filesWith(log: Folders, words: readonly string[]): string[] {
  const found: string[] = [];
  for (const folder of [log.dir, log.keysDir]) {
    for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(folder, name);
      if (!fs.statSync(file).isFile()) continue;
      const bytes = fs.readFileSync(file);
      if (words.some((word) => bytes.includes(word))) found.push(name);
    }
  }
  return found;
}

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

describe('an append', () => {
  const events = [call(alice, 1), call(bob, 2, 200_000)];

  test('killed at any call leaves no record without its content', async () => {
    for (let at = 0; ; at++) {
      const log = temporaryLog();
      const clock = new FakeClock();
      const writer = openDirect(log, { content: 'personal' }, clock);
      let told: Told[] = [];
      const { died } = dieAt(at, () => {
        told = append(writer, events);
        if (told.some((one) => 'error' in one)) throw new Error('it was refused');
      });
      const reopened = openDirect(log, {}, clock);
      append(reopened, [call(alice, 3), call(bob, 4)]);
      reopened.close();
      const { members } = await checkContents(log);
      expect(members, `died at call ${at}`).toMatchObject({ missing: 0, altered: 0, no_key: 0 });
      expect(members.opened).toBe(calls(log).length * 6);
      expect((await audit(log)).verdict).toBe('ok');
      if (!died) break;
      expect(at).toBeLessThan(100);
    }
  });

  test('of which one call fails is refused whole, or did not need it', async () => {
    let refused = 0;
    for (let at = 0; ; at++) {
      const log = temporaryLog();
      const writer = openDirect(log, { content: 'personal' });
      let number = 0;
      const told = withFaults(
        () => number++ === at,
        () => append(writer, events),
      );
      const failed = told.some((one) => 'error' in one);
      if (failed) refused++;
      expect(calls(log)).toHaveLength(failed ? 0 : 2);
      expect(append(writer, events).some((one) => 'error' in one)).toBe(false);
      writer.close();
      expect((await checkContents(log)).members).toMatchObject({
        opened: calls(log).length * 6,
        missing: 0,
      });
      if (number <= at) break;
      expect(at).toBeLessThan(100);
    }
    // Among others the syncs of keys, names, their folder, content, its folder and the segment.
    expect(refused).toBeGreaterThan(15);
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

/** A log with both in several segments. */
function prepared(clock = new FakeClock()): { log: Folders; writer: Writer } {
  const log = temporaryLog();
  const writer = openDirect(log, { content: 'personal', segmentBytesMax: 6_000 }, clock);
  for (let i = 0; i < 3; i++) append(writer, [call(alice, i), call(bob, i)]);
  return { log, writer };
}

async function expectErased(
  log: Folders,
  pseudonym: string,
  about: string,
  erased = 18,
): Promise<void> {
  const report = await audit(log);
  expect(report.findings, about).toEqual([]);
  expect(report.verdict).toBe('ok');
  const records = recordsOf(log).filter((record) => record.event_type === 'log.erased');
  const naming = records.filter((record) =>
    (record.details!['subjects'] as string[]).includes(pseudonym),
  );
  expect(naming, about).toHaveLength(1);
  expect(fs.existsSync(path.join(log.keysDir, 'erasing')), about).toBe(false);
  const { members } = await checkContents(log);
  expect(members, about).toMatchObject({ erased, missing: 0, no_key: 0, altered: 0 });
  expect(members.opened).toBeGreaterThanOrEqual(18);
  const left = fs.readdirSync(contentFolder(log.dir)).filter((name) => name.endsWith('.tmp'));
  expect(left, about).toEqual([]);
  const contents = fs.readdirSync(contentFolder(log.dir)).map((name) => {
    return fs.readFileSync(path.join(contentFolder(log.dir), name), 'utf8');
  });
  expect(contents.join('').includes(`"subject":"${pseudonym}"`), about).toBe(false);
}

describe('an erasure', () => {
  test('takes the key, the names and the content, and leaves the records and the others', async () => {
    const { log, writer } = prepared();
    const pseudonym = calls(log)[0]!.actor!.user_id!;
    expect(await surveyErasure({ ...log, user: alice[1] })).toMatchObject({
      subjects: [{ pseudonym, userId: alice[0], usernames: [alice[1]] }],
      contents: { count: 3 },
      records: { count: 0 },
      files: [],
    });
    expect(writer.erase({ user: alice[1], despiteHold: false })).toEqual({
      subjects: [pseudonym],
      contents: 3,
    });
    expect(writer.erase({ user: alice[1], despiteHold: false }).subjects).toEqual([]);
    append(writer, [call(alice, 100)]);
    writer.close();
    await expectErased(log, pseudonym, '');
    expect(calls(log).filter((record) => record.actor?.user_id === pseudonym)).toHaveLength(3);
    expect(calls(log).at(-1)?.actor?.user_id).not.toBe(pseudonym);
    expect(opened(log, calls(log)[0]!).every(({ state }) => state === 'erased')).toBe(true);
    expect(opened(log, calls(log)[1]!).every(({ state }) => state === 'opened')).toBe(true);
  });

  test('killed at any call is finished by the next opening, or was not begun', async () => {
    let begun = 0;
    for (let at = 0; ; at++) {
      const clock = new FakeClock();
      const { log, writer } = prepared(clock);
      const pseudonym = calls(log)[0]!.actor!.user_id!;
      const { died } = dieAt(at, () => writer.erase({ user: alice[0], despiteHold: false }));
      const reopened = openDirect(log, {}, clock);
      if (reopened.erase({ user: alice[0], despiteHold: false }).subjects.length === 0) begun++;
      append(reopened, [call(bob, 200)]);
      reopened.close();
      await expectErased(log, pseudonym, `died at call ${at}`);
      if (!died) break;
      expect(at).toBeLessThan(200);
    }
    expect(begun).toBeGreaterThan(10);
  });

  test('of which one call fails once is finished by the same writer', async () => {
    for (let at = 0; ; at++) {
      const clock = new FakeClock();
      const { log, writer } = prepared(clock);
      const pseudonym = calls(log)[0]!.actor!.user_id!;
      let calls_ = 0;
      let failed = false;
      try {
        withFaults(
          () => calls_++ === at,
          () => writer.erase({ user: alice[0], despiteHold: false }),
        );
      } catch {
        failed = true;
      }
      const told = append(writer, [call(bob, 300)]);
      expect(told[0], `call ${at}`).not.toHaveProperty('error');
      // Who comes again meanwhile comes as another, who stays.
      const [again] = append(writer, [call(alice, 301)]);
      append(writer, [call(bob, 302)]);
      clock.pass(2_000);
      writer.tick();
      append(writer, [call(bob, 303)]);
      const seq = again !== undefined && 'firstSeq' in again ? again.firstSeq : -1;
      const record = recordsOf(log).find((one) => one.seq === seq)!;
      const another = record.actor?.user_id !== pseudonym;
      expect(opened(log, record).every(({ state }) => state === 'opened')).toBe(true);
      if (!another) writer.erase({ user: alice[0], despiteHold: false });
      writer.close();
      await expectErased(log, pseudonym, `call ${at} failed`, another ? 18 : 24);
      if (calls_ <= at) break;
      expect(failed || at > 0).toBe(true);
      expect(at).toBeLessThan(200);
    }
  });

  test('is refused where a legal hold may cover the records, unless despite it', () => {
    const log = temporaryLog();
    const hold = [{ actor: alice[0] }];
    const retention = { retentionDays: 1, hold };
    const writer = openDirect(log, { content: 'keep', retention });
    append(writer, [call(alice, 1, 200_000), call(bob, 2, 200_000)]);
    const erase = (user: string, despiteHold = false) => writer.erase({ user, despiteHold });
    expect(() => erase(alice[1])).toThrow(expect.objectContaining({ code: 'held' }));
    expect(erase(bob[1]).subjects).toHaveLength(1);
    expect(erase(alice[1], true).subjects).toHaveLength(1);
    writer.close();
  });
});
