import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseCheckpointText, parseNote } from './checkpoint.js';
import { parseHmacKey } from './epoch-keys.js';
import { AuditError } from './errors.js';
import { storedEpochs } from './keys.js';
import type { LogRecord } from './stored-record.js';
import {
  appendEvents,
  audit,
  initialKeyOf,
  numbered,
  openDirect,
  type Told,
} from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import {
  callsToTry,
  changingAndLooking,
  countCalls,
  pretendToSync,
  withFaults,
} from './testing/faults.js';
import { type Folders, linesOf, segmentFiles, temporaryLog } from './testing/folders.js';
import type { Writer } from './writer.js';

pretendToSync();

function records(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

function types(log: Folders): string[] {
  return records(log).map((record) => record.event_type);
}

function numbers(log: Folders): unknown[] {
  return records(log)
    .filter((record) => record.event_type === 'test.event')
    .map((record) => record.details?.['number']);
}

async function expectOk(log: Folders): Promise<void> {
  const report = await audit(log);
  expect(report.findings).toEqual([]);
  expect(report.verdict).toBe('ok');
}

function durableCount(told: readonly Told[]): number {
  return told.reduce((sum, one) => sum + ('error' in one ? 0 : one.count), 0);
}

describe('group commit', () => {
  test('one write and one fdatasync make a whole batch durable, and only then is it said', () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    let told: Told[] = [];
    const order: string[] = [];
    const counts = countCalls(() => {
      told = appendEvents(writer, numbered(0, 500));
    });
    expect(told).toEqual([{ firstSeq: 1, count: 500 }]);
    expect(counts.get('fdatasyncSync')).toBe(1);
    withFaults(
      (name) => {
        order.push(name);
        return false;
      },
      () => {
        const batch = Buffer.from(
          '"timestamp":"2026-01-02T03:04:05.678Z","event_id":"evt_01890000-0000-7000-8000-000000000000","event_type":"a.b","emitter":"x"\n',
        );
        writer.append(batch, 1, {
          durable: () => order.push('told'),
          failed: () => order.push('failed'),
        });
      },
    );
    expect(order.slice(0, 3)).toEqual(['writeSync', 'fdatasyncSync', 'told']);
    writer.close();
  });

  test('a batch larger than a group is synced in several, in order, each told once it is on disk', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    const events = Array.from({ length: 200 }, (_, number) => ({
      eventType: 'test.event' as const,
      details: { number, text: 'x'.repeat(60_000) },
    }));
    let told: Told[] = [];
    const counts = countCalls(() => {
      told = appendEvents(writer, events);
    });
    expect(told.length).toBeGreaterThan(2);
    expect(counts.get('fdatasyncSync')).toBe(told.length);
    let next = 1;
    for (const one of told) {
      expect(one).toMatchObject({ firstSeq: next });
      next += one.count;
    }
    expect(next).toBe(201);
    writer.close();
    expect(numbers(log)).toEqual(events.map((event) => event.details.number));
    await expectOk(log);
  });

  test('every record follows the one before: seq, prev_hash', () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 20));
    appendEvents(writer, numbered(20, 1));
    writer.close();
    const all = records(log);
    expect(all.map((record) => record.seq)).toEqual(all.map((_, i) => i));
    all.forEach((record, i) => {
      expect(record.prev_hash).toBe(i === 0 ? '0'.repeat(64) : all[i - 1]!.hash);
    });
  });
});

describe('after a write or sync that failed', () => {
  test.each([
    'fdatasyncSync',
    'writeSync',
  ] as const)('%s: the caller gets the error, nothing of the record stays, the log goes on in a new segment and says so', async (call) => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 3));
    const before = linesOf(log.dir);
    let failures = 0;
    const told = withFaults(
      (name) => name === call && failures++ === 0,
      () => appendEvents(writer, numbered(100, 2)),
    );
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ count: 2, error: { code: 'write_failed' } });
    expect(linesOf(log.dir)).toEqual(before);
    expect(fs.readFileSync(segmentFiles(log.dir)[0]!).at(-1)).toBe(10);

    expect(appendEvents(writer, numbered(3, 1))).toEqual([{ firstSeq: 5, count: 1 }]);
    expect(segmentFiles(log.dir)).toHaveLength(2);
    const recovered = records(log)[4]!;
    expect(recovered.event_type).toBe('log.recovered');
    expect(recovered.details).toMatchObject({ reason: 'write_failed', error: 'EIO' });
    writer.close();
    expect(numbers(log)).toEqual([0, 1, 2, 3]);
    await expectOk(log);
  });

  test.each([
    ['the segment', 'lstatSync', /jsonl$/],
    ['the keys', 'statSync', /keys$/],
  ] as const)('a look at %s that fails: the record is refused and taken back, durably', async (_, call, file) => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 3));
    const before = linesOf(log.dir);
    const order: string[] = [];
    const told = withFaults(
      (name, first) => {
        order.push(name);
        return name === call && file.test(String(first)) && !order.includes('ftruncateSync');
      },
      () => appendEvents(writer, numbered(100, 2)),
      'EIO',
      changingAndLooking,
    );
    expect(told).toMatchObject([{ count: 2, error: { code: 'write_failed' } }]);
    const cut = order.slice(order.indexOf('fdatasyncSync'));
    expect(cut).toEqual(expect.arrayContaining(['fdatasyncSync', 'ftruncateSync', 'fsyncSync']));
    expect(linesOf(log.dir)).toEqual(before);
    await expectOk(log);
    expect(appendEvents(writer, numbered(3, 1))).toEqual([{ firstSeq: 5, count: 1 }]);
    writer.close();
    expect(numbers(log)).toEqual([0, 1, 2, 3]);
    await expectOk(log);
  });

  test.each<[string, (writer: Writer, clock: FakeClock) => void]>([
    [
      'an append when the epoch has ended',
      (writer, clock) => {
        clock.pass(10_000);
        appendEvents(writer, numbered(50, 1));
      },
    ],
    [
      'the epoch’s end by itself',
      (writer, clock) => {
        clock.pass(10_000);
        writer.tick();
      },
    ],
    [
      'a jump of the clock',
      (writer, clock) => {
        clock.jump(90_000);
        appendEvents(writer, numbered(50, 1));
      },
    ],
    ['a checkpoint', (writer) => void writer.checkpoint()],
    ['a close', (writer) => writer.close()],
    [
      'another failure, then an append',
      (writer) => {
        withFaults(
          (name) => name === 'fdatasyncSync',
          () => appendEvents(writer, numbered(40, 1)),
        );
        appendEvents(writer, numbered(50, 1));
      },
    ],
    ['a death', () => {}],
  ])('and then %s: verify is content', async (_, next) => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { epochMs: 10_000 }, clock);
    appendEvents(writer, numbered(0, 3));
    withFaults(
      (name) => name === 'fdatasyncSync',
      () => appendEvents(writer, numbered(100, 2)),
    );
    next(writer, clock);
    await expectOk(log);
    openDirect(log, {}, clock).close();
    await expectOk(log);
    expect(numbers(log).slice(0, 3)).toEqual([0, 1, 2]);
    expect(numbers(log)).not.toContain(100);
  });

  test('when it is an epoch’s own end that cannot be written, verify is content too', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { epochMs: 10_000 }, clock);
    appendEvents(writer, numbered(0, 3));
    clock.pass(10_000);
    withFaults(
      (name) => name === 'fdatasyncSync',
      () => writer.tick(),
    );
    clock.pass(5_000);
    writer.tick();
    await expectOk(log);
    appendEvents(writer, numbered(3, 1));
    writer.close();
    await expectOk(log);
  });

  test('when it is a seal that cannot be written, verify is content too', async () => {
    const log = temporaryLog();
    const writer = openDirect(log, { segmentBytesMax: 4_096 });
    while (fs.statSync(segmentFiles(log.dir).at(-1)!).size < 4_096) {
      appendEvents(writer, numbered(0, 1));
    }
    withFaults(
      (name) => name === 'fdatasyncSync',
      () => appendEvents(writer, numbered(1, 1)),
    );
    await expectOk(log);
    expect(appendEvents(writer, numbered(2, 1))).toMatchObject([
      { count: 1, firstSeq: expect.any(Number) },
    ]);
    await expectOk(log);
    writer.close();
    await expectOk(log);
  });

  test('a write that wrote a part leaves no half line', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 1));
    const before = linesOf(log.dir);
    // The data reaches the file, the sync says it did not reach the disk.
    withFaults(
      (name) => name === 'fdatasyncSync',
      () => appendEvents(writer, numbered(1, 50)),
    );
    expect(linesOf(log.dir)).toEqual(before);
    writer.close();
    await expectOk(log);
  });

  test('when even the cutting fails the log refuses everything, and opens again without what was refused', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 2));
    const told = withFaults(
      (name) => name === 'fdatasyncSync' || name === 'ftruncateSync',
      () => appendEvents(writer, numbered(2, 1)),
    );
    expect(durableCount(told)).toBe(0);
    expect(appendEvents(writer, numbered(3, 1))).toMatchObject([{ error: { code: 'log_failed' } }]);
    expect(() => writer.checkpoint()).toThrow(AuditError);
    expect(() => writer.close()).toThrow(expect.objectContaining({ code: 'log_failed' }));
    openDirect(log).close();
    await expectOk(log);
    expect(numbers(log).slice(0, 2)).toEqual([0, 1]);
  });

  test('a full disk at any call of an append loses nothing that was acknowledged', async () => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const writer = openDirect(log, { segmentBytesMax: 4_096 });
      const acknowledged: number[] = [];
      let calls = 0;
      withFaults(
        () => calls++ === at,
        () => {
          for (let n = 0; n < 8; n++) {
            if (durableCount(appendEvents(writer, numbered(n, 1))) === 1) acknowledged.push(n);
          }
        },
        'ENOSPC',
      );
      const [more] = appendEvents(writer, numbered(50, 1));
      if (more !== undefined && !('error' in more)) acknowledged.push(50);
      try {
        writer.close();
      } catch (error) {
        expect(error).toBeInstanceOf(AuditError);
      }
      openDirect(log).close();
      const report = await audit(log);
      expect(report.findings, `call ${at}`).toEqual([]);
      expect(report.verdict).toBe('ok');
      const found = numbers(log);
      for (const n of acknowledged) expect(found.filter((one) => one === n)).toEqual([n]);
      if (calls <= at) break;
    }
  });

  test('a checkpoint that cannot be written is tried again, and nothing contradicts', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, {}, clock);
    appendEvents(writer, numbered(0, 3));
    withFaults(
      (name, first) => name === 'renameSync' && String(first).includes('checkpoint'),
      () => {
        clock.pass(2_000);
        writer.tick();
      },
    );
    expect(appendEvents(writer, numbered(3, 1))).toMatchObject([{ count: 1 }]);
    clock.pass(2_000);
    writer.tick();
    const report = await audit(log);
    expect(report).toMatchObject({ verdict: 'ok', pending: 0 });
    writer.close();
    await expectOk(log);
  });
});

describe('durability "interval"', () => {
  test('an append is not synced; a sync follows when it is due', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(
      log,
      { durability: 'interval', syncIntervalMs: 500, checkpointIntervalMs: 60_000 },
      clock,
    );
    const appending = countCalls(() => appendEvents(writer, numbered(0, 3)));
    expect(appending.get('fdatasyncSync')).toBeUndefined();
    expect(writer.dueInMs()).toBe(500);
    clock.pass(499);
    expect(countCalls(() => writer.tick()).get('fdatasyncSync')).toBeUndefined();
    clock.pass(1);
    expect(countCalls(() => writer.tick()).get('fdatasyncSync')).toBe(1);
    expect(records(log)[0]?.details?.['durability']).toBe('interval');
    writer.close();
    await expectOk(log);
  });

  test('a checkpoint never covers what is not synced', () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { durability: 'interval' }, clock);
    appendEvents(writer, numbered(0, 3));
    const order: string[] = [];
    withFaults(
      (name, first) => {
        order.push(`${name} ${path.basename(String(first))}`);
        return false;
      },
      () => writer.checkpoint(),
    );
    const synced = order.findIndex((call) => call.startsWith('fdatasyncSync'));
    const signed = order.findIndex((call) => call.includes('head'));
    expect(synced).toBeGreaterThanOrEqual(0);
    expect(signed).toBeGreaterThan(synced);
    writer.close();
  });

  test('a sync that fails stops the log', () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { durability: 'interval' }, clock);
    appendEvents(writer, numbered(0, 3));
    clock.pass(5_000);
    withFaults(
      (name) => name === 'fdatasyncSync',
      () => writer.tick(),
    );
    expect(appendEvents(writer, numbered(3, 1))).toMatchObject([{ error: { code: 'log_failed' } }]);
    expect(writer.dueInMs()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('checkpoints', () => {
  const sizeOf = (log: Folders): number =>
    parseCheckpointText(parseNote(fs.readFileSync(path.join(log.dir, 'checkpoint'))).text).size;

  test('are made when due, while there is news, and after so many records', () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { checkpointRecordsMax: 10 }, clock);
    expect(sizeOf(log)).toBe(1);
    appendEvents(writer, numbered(0, 5));
    expect(sizeOf(log)).toBe(1);
    expect(writer.dueInMs()).toBe(1_000);
    clock.pass(1_000);
    writer.tick();
    expect(sizeOf(log)).toBe(6);
    appendEvents(writer, numbered(5, 10));
    expect(sizeOf(log)).toBe(16);
    expect(countCalls(() => writer.checkpoint()).get('fsyncSync')).toBeUndefined();
    writer.close();
    expect(sizeOf(log)).toBe(17);
  });

  test('the head is durable before the checkpoint is published', () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 5));
    const renamed: string[] = [];
    withFaults(
      (name, first) => {
        if (name === 'renameSync' || name === 'fsyncSync') {
          renamed.push(name === 'fsyncSync' ? 'sync' : path.basename(String(first)));
        }
        return false;
      },
      () => writer.checkpoint(),
    );
    // The head's bytes, its name, its folder; then the checkpoint's bytes and name.
    const own = renamed.filter((step) => !/^[0-9]/.test(step));
    expect(own).toEqual(['sync', 'head.tmp', 'sync', 'sync', 'checkpoint.tmp']);
    writer.close();
  });
});

describe('epochs', () => {
  test('end by age, each with its record, and each key is the next of the one before', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, { epochMs: 10_000 }, clock);
    const initial = fs.readFileSync(path.join(log.keysDir, 'epoch-0.key'), 'utf8');
    clock.pass(9_999);
    appendEvents(writer, numbered(0, 1));
    expect(storedEpochs(log.keysDir)).toEqual([0]);
    clock.pass(1);
    appendEvents(writer, numbered(1, 1));
    expect(storedEpochs(log.keysDir)).toEqual([1]);
    clock.pass(10_000);
    writer.tick();
    expect(storedEpochs(log.keysDir)).toEqual([2]);
    expect(writer.dueInMs()).toBe(Number.POSITIVE_INFINITY);
    clock.pass(100_000);
    writer.tick();
    expect(storedEpochs(log.keysDir)).toEqual([2]);
    writer.close();
    expect(records(log).map((record) => [record.event_type, record.epoch])).toEqual([
      ['log.opened', 0],
      ['test.event', 0],
      ['log.epoch', 0],
      ['test.event', 1],
      ['log.epoch', 1],
      ['log.closed', 2],
    ]);
    expect(parseHmacKey(initial).key).toEqual(parseHmacKey(initialKeyOf(log)).key);
    await expectOk(log);
  });

  test('an epoch that was open when the process died ends no later for that', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    openDirect(log, { epochMs: 60_000 }, clock);
    const firstMs = clock.wallMs();
    for (let i = 0; i < 4; i++) {
      clock.pass(50_000);
      appendEvents(openDirect(log, { epochMs: 60_000 }, clock), numbered(i, 1));
    }
    await expectOk(log);
    const late = records(log)
      .filter((record) => record.epoch === 0 && record.event_type === 'log.opened')
      .map((record) => Date.parse(record.timestamp) - firstMs)
      .filter((ms) => ms > 60_000);
    expect(late).toEqual([]);
  });

  test('the key that was left is overwritten before it is removed', () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    const steps: string[] = [];
    withFaults(
      (name, first) => {
        if (name === 'openSync' || name === 'rmSync') {
          steps.push(`${name} ${path.basename(String(first))}`);
        }
        return false;
      },
      () => writer.close(),
    );
    expect(steps.filter((step) => step.includes('epoch-0.key'))).toEqual([
      'openSync epoch-0.key',
      'rmSync epoch-0.key',
    ]);
    const stored = steps.indexOf('openSync epoch-1.key.tmp');
    expect(stored).toBeGreaterThanOrEqual(0);
    expect(stored).toBeLessThan(steps.indexOf('openSync epoch-0.key'));
  });
});

describe('segments', () => {
  test('are sealed at their size, named by their first seq, each with its checkpoint', async () => {
    const log = temporaryLog();
    const writer = openDirect(log, { segmentBytesMax: 4_096 });
    for (let n = 0; n < 30; n++) appendEvents(writer, numbered(n, 1));
    writer.close();
    const files = segmentFiles(log.dir);
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) {
      const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
      const first = JSON.parse(lines[0]!) as LogRecord;
      const last = JSON.parse(lines.at(-1)!) as LogRecord;
      expect(path.basename(file)).toBe(`${String(first.seq).padStart(20, '0')}.jsonl`);
      if (file === files.at(-1)) continue;
      expect(last.event_type).toBe('log.sealed');
      expect(last.details).toMatchObject({
        first_seq: first.seq,
        records: lines.length,
        next_epoch: last.epoch + 1,
        bytes: fs.statSync(file).size - Buffer.byteLength(lines.at(-1)!) - 1,
      });
      const kept = path.join(log.dir, 'checkpoints', String(last.seq + 1).padStart(20, '0'));
      expect(fs.existsSync(kept)).toBe(true);
    }
    expect(numbers(log)).toEqual(Array.from({ length: 30 }, (_, n) => n));
    await expectOk(log);
  });

  test('a batch that crosses the size is split between segments', async () => {
    const log = temporaryLog();
    const writer = openDirect(log, { segmentBytesMax: 8_192 });
    const told = appendEvents(writer, numbered(0, 100));
    expect(durableCount(told)).toBe(100);
    writer.close();
    expect(segmentFiles(log.dir).length).toBeGreaterThan(3);
    for (const file of segmentFiles(log.dir)) {
      expect(fs.statSync(file).size).toBeLessThan(8_192 + 2_000);
    }
    expect(numbers(log)).toEqual(Array.from({ length: 100 }, (_, n) => n));
    await expectOk(log);
  });
});

describe('the clock', () => {
  test('a jump of the wall clock is recorded once, either way, and order goes on by seq', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(log, {}, clock);
    appendEvents(writer, numbered(0, 1));
    clock.jump(-3_600_000);
    appendEvents(writer, numbered(1, 2));
    clock.jump(7_200_000);
    appendEvents(writer, numbered(3, 1));
    clock.jump(1_000);
    appendEvents(writer, numbered(4, 1));
    writer.close();
    const jumps = records(log).filter((record) => record.event_type === 'log.clock_jump');
    expect(jumps.map((record) => record.details?.['jump_ms'])).toEqual([-3_600_000, 7_200_000]);
    expect(numbers(log)).toEqual([0, 1, 2, 3, 4]);
    await expectOk(log);
  });

  test('a clock that stands before the last record at opening is recorded', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    openDirect(log, {}, clock).close();
    clock.jump(-86_400_000);
    openDirect(log, {}, clock).close();
    expect(types(log)).toEqual([
      ...['log.opened', 'log.closed'],
      ...['log.clock_jump', 'log.opened', 'log.closed'],
    ]);
    await expectOk(log);
  });
});

test('the record at seq 0 says what the log is', () => {
  const log = temporaryLog();
  openDirect(log, { segmentBytesMax: 5_000 }).close();
  const opened = records(log)[0]!;
  expect(opened).toMatchObject({ seq: 0, event_type: 'log.opened', emitter: 'log', epoch: 0 });
  const origin = fs.readFileSync(path.join(log.keysDir, 'origin'), 'utf8').trim();
  expect(opened.details).toEqual({
    format: 1,
    origin,
    public_key: fs.readFileSync(path.join(log.keysDir, 'public-key'), 'utf8').trim(),
    retention: { delete: 'never' },
    durability: 'sync',
    checkpoint_interval_ms: 1_000,
    segment_bytes_max: 5_000,
    rotate: 'size',
    forward_security: { on: false, initial_key_file: 'initial-hmac-key' },
    software: expect.stringMatching(/^gatebook-audit\//),
    pid: process.pid,
  });
  expect(origin).toMatch(/^[A-Za-z0-9.-]+\/gatebook\/[0-9a-f]{32}$/);
});

test('after close nothing is taken and nothing is due', () => {
  const log = temporaryLog();
  const writer = openDirect(log);
  writer.close();
  expect(appendEvents(writer, numbered(0, 2))).toMatchObject([
    { count: 2, error: { code: 'log_closed' } },
  ]);
  expect(writer.dueInMs()).toBe(Number.POSITIVE_INFINITY);
  expect(() => writer.checkpoint()).toThrow(expect.objectContaining({ code: 'log_closed' }));
});

test('tiles that a checkpoint lacks are written a second later, though nothing comes', () => {
  const log = temporaryLog();
  const clock = new FakeClock();
  const writer = openDirect(log, {}, clock);
  appendEvents(writer, numbered(0, 299));
  let failures = 0;
  withFaults(
    (name, first) => name === 'renameSync' && /tile/.test(String(first)) && ++failures > 0,
    () => writer.checkpoint(),
  );
  expect(failures).toBe(1);
  expect(writer.dueInMs()).toBeLessThanOrEqual(1_000);
  const partial = path.join(log.dir, 'tile/0/001.p');
  expect(fs.existsSync(path.join(partial, '44'))).toBe(false);
  writer.tick();
  expect(fs.readdirSync(partial)).toEqual(['44']);
  expect(writer.dueInMs()).toBeGreaterThan(1_000);
  writer.close();
});
