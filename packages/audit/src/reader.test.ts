import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findLine, parseRecord, readLines, type StoredLine } from './reader.js';
import { appendEvents, numbered, openDirect } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import {
  type Folders,
  foldersIn,
  linesOf,
  makeTemporary,
  removeTemporary,
  segmentFiles,
  temporaryLog,
} from './testing/folders.js';

pretendToSync();

let folder: string;
let log: Folders;
let lines: string[];

beforeAll(() => {
  folder = makeTemporary();
  log = foldersIn(folder);
  const writer = openDirect(log, { segmentBytesMax: 700_000 });
  for (let n = 0; n < 40; n++) {
    // Lines of all lengths, so that a search by seq has to look at odd places.
    const text = 'é'.repeat((n * 7919) % 30_000);
    appendEvents(writer, [{ eventType: 'a.b', details: { n, text, decoy: '\n{"seq":7,' } }]);
    appendEvents(writer, numbered(n * 30, 30));
  }
  writer.close();
  lines = linesOf(log.dir);
});
afterAll(() => removeTemporary(folder));

async function collect(lines: AsyncIterable<StoredLine>): Promise<StoredLine[]> {
  const all: StoredLine[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

describe('readLines', () => {
  test('gives every line in order, with its place', async () => {
    const all = await collect(readLines(log.dir));
    expect(all.map((stored) => stored.line.toString())).toEqual(lines);
    expect(all.map((stored) => stored.seq)).toEqual(lines.map((_, seq) => seq));
    expect(new Set(all.map((stored) => stored.segment)).size).toBe(segmentFiles(log.dir).length);
    for (const { segment, offset, line } of all.filter((_, i) => i % 100 === 0)) {
      const bytes = fs.readFileSync(path.join(log.dir, 'segments', segment));
      expect(bytes.subarray(offset, offset + line.length)).toEqual(line);
    }
  });

  test('begins with any record', async () => {
    for (const fromSeq of [0, 1, 500, lines.length - 1, lines.length, lines.length + 10]) {
      const all = await collect(readLines(log.dir, { fromSeq }));
      expect(all.length).toBe(Math.max(0, lines.length - fromSeq));
      if (all[0]) expect(all[0].seq).toBe(fromSeq);
    }
  });

  test('of no folder gives nothing, and an unfinished line is not given', async () => {
    const other = temporaryLog();
    expect(await collect(readLines(other.dir))).toEqual([]);
    openDirect(other).close();
    fs.appendFileSync(segmentFiles(other.dir)[0]!, '{"seq":2');
    expect(await collect(readLines(other.dir))).toHaveLength(2);
  });

  test('follows a log into its next segments until it is told to stop', async () => {
    const other = temporaryLog();
    const writer = openDirect(other, { segmentBytesMax: 4_096 });
    const stop = new AbortController();
    const seen: number[] = [];
    const following = (async () => {
      for await (const { seq } of readLines(other.dir, { follow: stop.signal })) {
        seen.push(seq);
        if (seq === 60) stop.abort();
      }
    })();
    for (let n = 0; n < 12; n++) {
      appendEvents(writer, numbered(n * 6, 6));
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await following;
    expect(seen).toEqual(Array.from({ length: 61 }, (_, seq) => seq));
    writer.close();
    expect(segmentFiles(other.dir).length).toBeGreaterThan(2);
  });

  test('stops following when nothing comes', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 150);
    const all = await collect(readLines(log.dir, { fromSeq: lines.length, follow: stop.signal }));
    expect(all).toEqual([]);
  });
});

describe('findLine', () => {
  test('finds every seq, and nothing beyond', () => {
    fc.assert(
      fc.property(fc.nat(lines.length - 1), (seq) => {
        expect(findLine(log.dir, seq)).toMatchObject({ seq });
        expect(findLine(log.dir, seq)?.line.toString()).toBe(lines[seq]);
      }),
      { numRuns: 300, examples: [[0], [lines?.length ? lines.length - 1 : 0]] },
    );
    expect(findLine(log.dir, lines.length)).toBeUndefined();
    expect(findLine(log.dir, 2 ** 52)).toBeUndefined();
    expect(findLine(temporaryLog().dir, 0)).toBeUndefined();
  });

  test('the first line of each segment is found', () => {
    for (const file of segmentFiles(log.dir)) {
      const seq = Number(path.basename(file, '.jsonl'));
      expect(findLine(log.dir, seq)).toMatchObject({ seq, offset: 0 });
    }
  });
});

test('what is not JSON is damaged', () => {
  expect(() => parseRecord(Buffer.from('{'))).toThrow(
    expect.objectContaining({ code: 'log_damaged' }),
  );
  expect(parseRecord(Buffer.from('?{"seq":1}').subarray(1))).toEqual({ seq: 1 });
});
