import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { tallyPath } from './segment.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import { pretendToSync } from './testing/faults.js';
import { type Folders, linesOf, segmentFiles, temporaryLog } from './testing/folders.js';

pretendToSync();

function seals(log: Folders): Record<string, unknown>[] {
  return linesOf(log.dir)
    .map((line) => JSON.parse(line) as LogRecord)
    .filter((record) => record.event_type === 'log.sealed')
    .map((record) => record.details!);
}

async function expectOk(log: Folders): Promise<void> {
  const report = await audit(log);
  expect(report.findings).toEqual([]);
  expect(report.verdict).toBe('ok');
}

function tallyLines(log: Folders, segment: number): string[] {
  return fs.readFileSync(tallyPath(log.dir, segment), 'utf8').split('\n').slice(0, -1);
}

describe('rotation', () => {
  test.each([
    ['hourly', 3_600_000],
    ['daily', 86_400_000],
    ['weekly', 7 * 86_400_000],
  ] as const)('%s: a record behind the boundary finds a new segment', async (rotate, ms) => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { rotate }, clock);
    appendEvents(writer, numbered(0, 2));
    clock.pass(1_000);
    appendEvents(writer, numbered(2, 1));
    expect(seals(log)).toHaveLength(0);
    clock.pass(ms);
    appendEvents(writer, numbered(3, 1));
    expect(seals(log)).toMatchObject([{ first_seq: 0, reason: rotate }]);
    writer.close();
    await expectOk(log);
  });

  test('an idle log is sealed when its period ends, and a segment without records is not', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { rotate: 'hourly' }, clock);
    appendEvents(writer, numbered(0, 2));
    for (let hour = 0; hour < 5; hour++) {
      for (let step = 0; step < 61; step++) {
        if (seals(log).length === 0) expect(writer.dueInMs()).toBeLessThanOrEqual(60_000);
        clock.pass(60_000);
        writer.tick();
      }
    }
    expect(seals(log)).toHaveLength(1);
    expect(segmentFiles(log.dir)).toHaveLength(2);
    expect(writer.dueInMs()).toBe(Number.POSITIVE_INFINITY);
    writer.close();
    await expectOk(log);
  });

  test('the period is that of the segment’s first record, over a reopening and a kill', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const first = openDirect(log, { rotate: 'daily' }, clock);
    appendEvents(first, numbered(0, 1));
    first.close();
    clock.pass(3_600_000);
    const killed = openDirect(log, { rotate: 'daily' }, clock);
    appendEvents(killed, numbered(1, 1));
    expect(seals(log)).toHaveLength(0);
    clock.pass(86_400_000);
    const last = openDirect(log, { rotate: 'daily' }, clock);
    appendEvents(last, numbered(2, 1));
    expect(seals(log)).toHaveLength(1);
    last.close();
    await expectOk(log);
  });

  test('on demand, unless there is nothing to seal', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 2));
    expect(writer.rotate()).toBe(0);
    expect(writer.rotate()).toBeUndefined();
    appendEvents(writer, numbered(2, 1));
    expect(writer.rotate()).toBe(4);
    expect(seals(log).map(({ reason }) => reason)).toEqual(['demand', 'demand']);
    writer.close();
    await expectOk(log);
  });

  test('a link names the segment that is written, also after a reopening', () => {
    const log = temporaryLog();
    const current = (): string => fs.readlinkSync(path.join(log.dir, 'current'));
    const writer = openDirect(log, { segmentBytesMax: 4_096 });
    expect(current()).toBe(`segments/${'0'.repeat(20)}.jsonl`);
    for (let i = 0; i < 30; i++) appendEvents(writer, numbered(i, 1));
    expect(current()).toBe(`segments/${path.basename(segmentFiles(log.dir).at(-1)!)}`);
    writer.close();
    fs.rmSync(path.join(log.dir, 'current'));
    fs.writeFileSync(path.join(log.dir, 'current'), 'somebody’s file');
    openDirect(log).close();
    expect(current()).toBe(`segments/${path.basename(segmentFiles(log.dir).at(-1)!)}`);
  });
});

describe('the tally of a segment', () => {
  test('stands in its seal, with its range of times', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, {}, clock);
    const action = { tool: 'echo', riskLevel: 'low', allowed: false } as const;
    appendEvents(writer, [
      {
        eventType: 'tool_execution',
        actor: { userId: 'ann' },
        action,
        timestamp: '2020-01-01T00:00:00Z',
      },
      { eventType: 'tool_execution', actor: { userId: 'ann' }, timestamp: '2030-01-01T00:00:00Z' },
    ]);
    writer.rotate();
    expect(seals(log)).toMatchObject([
      {
        first_seq: 0,
        last_seq: 3,
        records: 4,
        first_timestamp: '2020-01-01T00:00:00.000Z',
        last_timestamp: '2030-01-01T00:00:00.000Z',
        tally_size: 10,
      },
    ]);
    expect(tallyLines(log, 0)).toEqual([
      '["actor","ann",2]',
      '["actor",null,1]',
      '["decision",false,1]',
      '["decision",null,2]',
      '["risk","low",1]',
      '["risk",null,2]',
      '["tool","echo",1]',
      '["tool",null,2]',
      '["type","log.opened",1]',
      '["type","tool_execution",2]',
    ]);
    writer.close();
    await expectOk(log);
  });

  const actors = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      eventType: 'test.event' as const,
      actor: { userId: `u${from + i}` },
    }));

  test.each(['close', 'kill'])('goes on after a %s, and is whole', async (end) => {
    const log = temporaryLog();
    for (let session = 0; session < 3; session++) {
      const writer = openDirect(log);
      appendEvents(writer, actors(session * 5, 10));
      if (end === 'close') writer.close();
    }
    const writer = openDirect(log);
    writer.rotate();
    const counts = tallyLines(log, 0).filter((line) => line.includes('"u'));
    expect(counts).toHaveLength(20);
    expect(counts).toContain('["actor","u7",2]');
    writer.close();
    await expectOk(log);
  });

  test.each([
    'close',
    'kill',
  ])('is never counted from lines that were changed after a %s', (end) => {
    const log = temporaryLog();
    const first = openDirect(log);
    appendEvents(first, actors(0, 3));
    first.checkpoint();
    appendEvents(first, actors(3, 3));
    if (end === 'close') first.close();
    const writer = openDirect(log);
    fs.rmSync(path.join(log.keysDir, 'tally'), { force: true });
    const [file] = segmentFiles(log.dir);
    const text = fs.readFileSync(file!, 'utf8');
    fs.writeFileSync(file!, text.replace('"user_id":"u1"', '"user_id":"u9"'));
    expect(() => writer.rotate()).toThrow(expect.objectContaining({ code: 'log_damaged' }));
    expect(seals(log)).toHaveLength(0);
    expect(fs.existsSync(tallyPath(log.dir, 0))).toBe(false);
    fs.writeFileSync(file!, text);
    expect(writer.rotate()).toBe(0);
  });

  test('a snapshot that was changed, cut or put back is not used', async () => {
    const log = temporaryLog();
    const file = path.join(log.keysDir, 'tally');
    const first = openDirect(log);
    appendEvents(first, actors(0, 3));
    first.close();
    const old = fs.readFileSync(file);
    const second = openDirect(log);
    appendEvents(second, actors(3, 3));
    second.close();
    const spoiled = [
      old,
      fs.readFileSync(file).subarray(0, 200),
      Buffer.from(fs.readFileSync(file, 'utf8').replace('["actor","u1",1]', '["actor","u1",2]')),
      Buffer.from('{}\n'),
      Buffer.alloc(0),
    ];
    for (const [i, bytes] of spoiled.entries()) {
      fs.writeFileSync(file, bytes);
      const writer = openDirect(log);
      appendEvents(writer, actors(0, 1));
      writer.rotate();
      writer.close();
      const report = await audit(log);
      expect(report.findings, `snapshot ${i}`).toEqual([]);
    }
  });

  test('a segment of 50,000 actors seals', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    for (let from = 0; from < 50_000; from += 5_000) appendEvents(writer, actors(from, 5_000));
    writer.rotate();
    expect(seals(log)[0]).toMatchObject({ tally_size: expect.any(Number) });
    expect(tallyLines(log, 0).length).toBeGreaterThan(50_000);
    writer.close();
    await expectOk(log);
  });
});
