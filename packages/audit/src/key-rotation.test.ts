import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkNote, parseNote, parseVerifierKey } from './checkpoint.js';
import { readKeys } from './keys.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect, publicKeyOf } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import { callsToTry, dieAt, pretendToSync, withFaults } from './testing/faults.js';
import { copyOf, type Folders, linesOf, temporaryLog } from './testing/folders.js';

pretendToSync();

function records(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

function seqOf(log: Folders, type: string): number {
  return records(log).find((record) => record.event_type === type)?.seq ?? -1;
}

function signersOf(log: Folders, file: string, ...keys: string[]): boolean[] {
  const note = parseNote(fs.readFileSync(path.join(log.dir, file)));
  return keys.map((key) => checkNote(note, [parseVerifierKey(key)]) === 'signed');
}

function kept(size: number): string {
  return `checkpoints/${String(size).padStart(20, '0')}`;
}

function privateKeys(log: Folders): string[] {
  return fs.readdirSync(log.keysDir).filter((name) => name.includes('.pem'));
}

describe('a key rotation', () => {
  test('is told in the book, links both keys, and retires the old one', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 3));
    const old = publicKeyOf(log);
    const next = writer.rotateKey({});
    expect(next).not.toBe(old);
    expect(publicKeyOf(log)).toBe(next);
    appendEvents(writer, numbered(3, 3));
    writer.close();
    const rotated = seqOf(log, 'log.key_rotated');
    expect(seqOf(log, 'log.key_retired')).toBe(rotated + 1);
    expect(signersOf(log, kept(rotated + 1), old, next)).toEqual([true, true]);
    expect(signersOf(log, kept(rotated + 2), old, next)).toEqual([false, true]);
    expect(signersOf(log, 'checkpoint', old, next)).toEqual([false, true]);
    expect(privateKeys(log)).toHaveLength(1);
    expect(privateKeys(log)).not.toContain('signing-key.pem');
    for (const publicKeys of [[old], [next], [old, next]]) {
      expect(await audit(log, { publicKeys })).toMatchObject({
        verdict: 'ok',
        findings: [],
        pending: 0,
      });
    }
  });

  test('with an overlap goes on with both keys, over openings, until the old one is retired', async () => {
    const log = temporaryLog();
    const old = openAndNameKey(log);
    let writer = openDirect(log);
    const next = writer.rotateKey({ overlap: true });
    expect(() => writer.rotateKey({})).toThrow(expect.objectContaining({ code: 'bad_option' }));
    appendEvents(writer, numbered(0, 3));
    writer.close();
    expect(signersOf(log, 'checkpoint', old, next)).toEqual([true, true]);
    writer = openDirect(log);
    appendEvents(writer, numbered(3, 3));
    writer.checkpoint();
    expect(signersOf(log, 'checkpoint', old, next)).toEqual([true, true]);
    expect(await audit(log, { publicKeys: [old] })).toMatchObject({ verdict: 'ok', findings: [] });
    expect(writer.retireKey()).toBe(next);
    expect(() => writer.retireKey()).toThrow(expect.objectContaining({ code: 'bad_option' }));
    writer.close();
    expect(signersOf(log, 'checkpoint', old, next)).toEqual([false, true]);
    expect(privateKeys(log)).toHaveLength(1);
    for (const publicKeys of [[old], [next], [old, next], []]) {
      expect(
        (await audit(log, { publicKeys })).findings.filter(({ kind }) => kind !== 'key'),
      ).toEqual([]);
    }
  });

  test('can follow another; any key of the history verifies the log', async () => {
    const log = temporaryLog();
    const keys = [openAndNameKey(log)];
    for (let i = 0; i < 4; i++) {
      const writer = openDirect(log, { segmentBytesMax: 4_096 });
      keys.push(writer.rotateKey({ overlap: i === 2 }));
      appendEvents(writer, numbered(i, 9));
      if (i === 2) writer.retireKey();
      writer.close();
    }
    for (const key of keys) {
      expect(await audit(log, { publicKeys: [key] })).toMatchObject({
        verdict: 'ok',
        findings: [],
      });
    }
  });

  const changes: [string, (log: Folders, clock: FakeClock) => () => void][] = [
    [
      'a rotation',
      (log, clock) => {
        const writer = openDirect(log, {}, clock);
        appendEvents(writer, numbered(0, 2));
        return () => {
          writer.rotateKey({});
        };
      },
    ],
    [
      'a rotation with overlap',
      (log, clock) => {
        const writer = openDirect(log, {}, clock);
        appendEvents(writer, numbered(0, 2));
        return () => {
          writer.rotateKey({ overlap: true });
        };
      },
    ],
    [
      'the end of an overlap',
      (log, clock) => {
        const writer = openDirect(log, {}, clock);
        writer.rotateKey({ overlap: true });
        appendEvents(writer, numbered(0, 2));
        return () => {
          writer.retireKey();
        };
      },
    ],
  ];

  test.each(changes)('%s: killed at any call, the next opening finishes it', async (_, prepare) => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const clock = new FakeClock();
      const act = prepare(log, clock);
      const before = publicKeyOf(log);
      const { died } = dieAt(at, act);
      const left = await audit(log);
      expect(left.findings, `died at call ${at}, before opening`).toEqual([]);
      const reopened = openDirect(log, {}, clock);
      appendEvents(reopened, numbered(88, 1));
      reopened.close();
      for (const publicKeys of [[before], [publicKeyOf(log)]]) {
        const report = await audit(log, { publicKeys });
        expect(report.findings, `died at call ${at}`).toEqual([]);
        expect(report).toMatchObject({ verdict: 'ok', pending: 0 });
      }
      const { signing } = readKeys(log.keysDir)!;
      expect(privateKeys(log), `died at call ${at}`).toHaveLength(signing.publicKeys.length);
      // Once it was begun it is finished, not taken back.
      if (at > 12)
        expect(
          records(log).filter(({ event_type }) => event_type === 'log.key_rotated'),
        ).toHaveLength(1);
      if (!died) break;
      expect(at).toBeLessThan(200);
    }
  });

  test.each(changes)('%s: one call fails once, the same writer goes on', async (_, prepare) => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const clock = new FakeClock();
      const act = prepare(log, clock);
      const before = publicKeyOf(log);
      let calls = 0;
      withFaults(
        () => calls++ === at,
        () => {
          try {
            act();
          } catch {
            // What failed is tried again by whatever comes next.
          }
        },
      );
      expect((await audit(log, { publicKeys: [before] })).findings, `call ${at}`).toEqual([]);
      clock.pass(2_000);
      const reopened = openDirect(log, {}, clock);
      appendEvents(reopened, numbered(88, 1));
      reopened.close();
      const report = await audit(log, { publicKeys: [before] });
      expect(report.findings, `call ${at}`).toEqual([]);
      if (calls <= at) break;
    }
  });
});

describe('whoever has the HMAC key but not the signing key', () => {
  test('cannot have a key signed that was appended behind the writer’s back', () => {
    const log = temporaryLog();
    const old = openAndNameKey(log);
    const forger = copyOf(log);
    const other = openDirect(forger).rotateKey({});
    expect(other).not.toBe(old);
    // The records are rightly chained and hashed, and signed for by the right key; this folder did not begin them.
    const lines = linesOf(forger.dir);
    const till = lines.findIndex((line) => line.includes('"log.key_rotated"'));
    const [segment] = fs.readdirSync(path.join(log.dir, 'segments'));
    const text = `${lines.slice(0, till + 1).join('\n')}\n`;
    fs.writeFileSync(path.join(log.dir, 'segments', segment!), text);
    expect(() => openDirect(log)).toThrow(expect.objectContaining({ code: 'log_damaged' }));
  });
});

function openAndNameKey(log: Folders): string {
  openDirect(log);
  return publicKeyOf(log);
}
