import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkContents } from './content-check.js';
import { contentFolder } from './content-file.js';
import { surveyErasure } from './erasure-survey.js';
import { audit, openDirect } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import { callsToTry, dieAt, pretendToSync, wholeRun, withFaults } from './testing/faults.js';
import { type Folders, temporaryLog } from './testing/folders.js';
import { alice, append, bob, call, calls, opened, recordsOf } from './testing/people.js';
import type { Writer } from './writer.js';

pretendToSync();

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
    for (const at of callsToTry()) {
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
    expect(begun).toBeGreaterThan(wholeRun ? 10 : 2);
  });

  test('of which one call fails once is finished by the same writer', async () => {
    for (const at of callsToTry()) {
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
