import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Match, newestMatches, select, type Unreadable } from './selection.js';

/** Three segments of ten lines each; line 12 is no record. */
describe('selection', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatebook-selection-'));
    await mkdir(join(dir, 'segments'));
    for (const first of [0, 10, 20]) {
      const lines = Array.from({ length: 10 }, (_, i) => line(first + i));
      const name = `${String(first).padStart(20, '0')}.jsonl`;
      await writeFile(join(dir, 'segments', name), lines.join(''));
    }
  });
  afterAll(() => rm(dir, { recursive: true }));

  const line = (seq: number): string =>
    seq === 12 ? 'null\n' : `${JSON.stringify({ seq, event_type: seq % 2 === 0 ? 'a' : 'b' })}\n`;
  const odd: Match = (record) => record.event_type === 'b';

  async function seqs(
    options: { match?: Match; fromSeq?: number; untilSeq?: number },
    unreadable: Unreadable = { count: 0, first: undefined },
  ): Promise<number[]> {
    const found: number[] = [];
    const selection = { dir, match: undefined, parse: true, ...options };
    for await (const selected of select(selection, unreadable)) found.push(selected.line.seq);
    return found;
  }

  it('keeps to its stretch, so that records which came meanwhile do not show', async () => {
    expect(await seqs({ fromSeq: 8, untilSeq: 11 })).toEqual([8, 9, 10, 11]);
    expect(await seqs({ fromSeq: 0, untilSeq: -1 })).toEqual([]);
    expect(await seqs({ match: odd, fromSeq: 25, untilSeq: 28 })).toEqual([25, 27]);
  });

  it('passes over what is no record and remembers where the first one was', async () => {
    const unreadable: Unreadable = { count: 0, first: undefined };
    expect(await seqs({ fromSeq: 11, untilSeq: 13 }, unreadable)).toEqual([11, 13]);
    expect(unreadable.count).toBe(1);
    expect(unreadable.first).toContain(`segment ${'0'.repeat(18)}10.jsonl, byte offset `);
  });

  it('finds the newest matches, and whether there are older ones', async () => {
    expect(await newestMatches(dir, odd, 3)).toEqual({ fromSeq: 25, untilSeq: 29, more: true });
    expect(await newestMatches(dir, odd, 15)).toEqual({ fromSeq: 1, untilSeq: 29, more: false });
    expect(await newestMatches(dir, odd, 14)).toEqual({ fromSeq: 3, untilSeq: 29, more: true });
    expect(await newestMatches(dir, () => false, 3)).toMatchObject({ untilSeq: -1, more: false });
  });

  it.each([
    1, 9, 10, 11, 20, 25, 29,
  ])('finds the newest %i of all without reading all', async (count) => {
    expect(await newestMatches(dir, undefined, count)).toEqual({
      fromSeq: 30 - count,
      untilSeq: 29,
      more: true,
    });
  });

  it.each([30, 31, 1_000_000])('finds everything when %i are wanted', async (count) => {
    expect(await newestMatches(dir, undefined, count)).toEqual({
      fromSeq: 0,
      untilSeq: 29,
      more: false,
    });
  });
});
