import { describe, expect, test } from 'vitest';
import { encodeEvent } from './record.js';
import type { FindEntry } from './relay-messages.js';
import { entryOf, findRecords, searchRecordsMax } from './resend.js';
import { openDirect } from './testing/direct-writer.js';
import { type Folders, temporaryLog } from './testing/folders.js';

const quiet = { durable: () => {}, failed: () => {} };

function write(log: Folders, count: number, segmentBytesMax = 100 * 1024 * 1024): FindEntry[] {
  const writer = openDirect(log, { segmentBytesMax, durability: 'interval' });
  const bodies = Array.from(
    { length: count },
    (_, n) => encodeEvent({ eventType: 'a.b', details: { n } }, 'test').text,
  );
  for (let at = 0; at < count; at += 5_000) {
    const part = bodies.slice(at, at + 5_000);
    writer.append(Buffer.from(part.map((body) => `${body}\n`).join('')), part.length, quiet);
  }
  writer.close();
  return bodies.map((body) => entryOf(Buffer.from(body)));
}

describe('what a client had in flight', () => {
  test('is found by emitter, id and digest, through segments, behind the given seq only', async () => {
    const log = temporaryLog();
    const entries = write(log, 200, 16_384);
    const all = await findRecords(log, 0, entries);
    expect(
      all.every((seq, i) => typeof seq === 'number' && (i === 0 || seq > Number(all[i - 1]))),
    ).toBe(true);
    const middle = Number(all[100]);
    const later = await findRecords(log, middle, entries);
    expect(later.slice(0, 101)).toEqual(Array.from({ length: 101 }, () => 'absent'));
    expect(later.slice(101)).toEqual(all.slice(101));
  });

  test('is a conflict with another digest, and absent for another emitter or id', async () => {
    const log = temporaryLog();
    const [first, second] = write(log, 2);
    const [id, digest, emitter] = first!;
    const asked: FindEntry[] = [
      [id, digest, emitter],
      [id, second![1], emitter],
      [id, digest, 'another'],
      [`evt_${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}`, digest, emitter],
    ];
    expect(await findRecords(log, -1, asked)).toEqual([1, 'conflict', 'absent', 'absent']);
  });

  test('behind the newest record is absent; behind one that is not there nobody knows', async () => {
    const log = temporaryLog();
    const [entry] = write(log, 1);
    expect(await findRecords(log, 2, [entry!])).toEqual(['absent']);
    expect(await findRecords(log, 50, [entry!])).toEqual(['unknown']);
  });

  test(`is unknown when more than ${searchRecordsMax} records were written since`, async () => {
    const log = temporaryLog();
    const entries = write(log, searchRecordsMax + 100);
    const last = entries.at(-1)!;
    expect(await findRecords(log, 0, [entries[0]!, last])).toEqual([1, 'unknown']);
    expect(await findRecords(log, 200, [last])).toEqual([searchRecordsMax + 100]);
  }, 120_000);
});
