import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
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

describe('a segment that is deleted while others read', () => {
  /** Deletes the segment at `place` as retention does: some of its lines are kept. */
  function remove(dir: string, place: number): { gone: number[]; kept: number[] } {
    const file = segmentFiles(dir)[place]!;
    const name = path.basename(file);
    const all = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
    const first = Number(name.slice(0, 20));
    fs.mkdirSync(path.join(dir, 'kept'), { recursive: true });
    fs.writeFileSync(path.join(dir, 'kept', name), `${all.slice(3, 5).join('\n')}\n`);
    fs.rmSync(file);
    const seqs = all.map((_, i) => first + i);
    return { gone: seqs.filter((_, i) => i !== 3 && i !== 4), kept: seqs.slice(3, 5) };
  }

  function beginningOf(dir: string, place: number): number {
    return Number(path.basename(segmentFiles(dir)[place]!).slice(0, 20));
  }

  function copyOfLog(): string {
    const dir = path.join(fs.mkdtempSync(path.join(folder, 'copy-')), 'log');
    fs.cpSync(log.dir, dir, { recursive: true });
    return dir;
  }

  test('is read as far as it was, then what was kept of it, and no line twice', async () => {
    const dir = copyOfLog();
    const seqs: number[] = [];
    let removed: { gone: number[]; kept: number[] } | undefined;
    for await (const { seq } of readLines(dir)) {
      seqs.push(seq);
      removed ??= remove(dir, 2);
    }
    expect(removed?.kept.length).toBe(2);
    const wanted = lines.map((_, seq) => seq).filter((seq) => !removed!.gone.includes(seq));
    expect(seqs).toEqual(wanted);
  });

  test('is not begun anew when the next is deleted too', async () => {
    const dir = copyOfLog();
    const seqs: number[] = [];
    const gone: number[] = [];
    for await (const { seq } of readLines(dir)) {
      seqs.push(seq);
      // The one that is being read, at its end, and the one behind it.
      if (gone.length > 0 || seq !== beginningOf(dir, 1) - 1) continue;
      remove(dir, 0);
      gone.push(...remove(dir, 0).gone);
    }
    expect(gone.length).toBeGreaterThan(0);
    expect(seqs).toEqual(lines.map((_, seq) => seq).filter((seq) => !gone.includes(seq)));
  });

  test('is followed into what was kept of it', { timeout: 20_000 }, async () => {
    const dir = copyOfLog();
    const stop = new AbortController();
    const seqs: number[] = [];
    const last = segmentFiles(dir).at(-1)!;
    const newest = lines.length - 1;
    for await (const { seq } of readLines(dir, { fromSeq: newest, follow: stop.signal })) {
      seqs.push(seq);
      if (seq > newest) stop.abort();
      else {
        // One more was written, the segment sealed and deleted, and the last two lines kept.
        const more = lines.at(-1)!.replace(`"seq":${newest}`, `"seq":${newest + 1}`);
        fs.mkdirSync(path.join(dir, 'kept'));
        fs.writeFileSync(path.join(dir, 'kept', path.basename(last)), `${lines.at(-1)}\n${more}\n`);
        fs.rmSync(last);
      }
    }
    expect(seqs).toEqual([newest, newest + 1]);
  });

  test('is found by what was kept of it', () => {
    const dir = copyOfLog();
    const list = fs.readdirSync;
    const seq = beginningOf(dir, 1) + 3;
    let listed = 0;
    const patched = fs as { readdirSync: unknown };
    patched.readdirSync = (...args: Parameters<typeof list>) => {
      const entries = list(...args);
      // After the folder of kept lines was listed as well.
      if (++listed === 2) remove(dir, 1);
      return entries;
    };
    syncBuiltinESMExports();
    try {
      expect(findLine(dir, seq)?.line.toString()).toBe(lines[seq]);
    } finally {
      patched.readdirSync = list;
      syncBuiltinESMExports();
    }
    expect(listed).toBeGreaterThan(2);
  });
});
