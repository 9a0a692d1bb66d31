import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { LineSplitter } from './input-lines.js';
import { linesUntil } from './input-stream.js';

describe('linesUntil', () => {
  it('ends with the stream, an unended last line included', async () => {
    const input = new PassThrough();
    input.end('a\nb');
    const lines: string[] = [];
    for await (const line of linesUntil(
      input,
      new LineSplitter(100),
      new AbortController().signal,
    )) {
      lines.push(String(line.bytes));
    }
    expect(lines).toEqual(['a', 'b']);
  });

  it('ends at once when stopped while it waits', async () => {
    const input = new PassThrough();
    const stop = new AbortController();
    input.write('a\nunfinished');
    const splitter = new LineSplitter(100);
    const lines: string[] = [];
    setTimeout(() => stop.abort(), 20);
    for await (const line of linesUntil(input, splitter, stop.signal))
      lines.push(String(line.bytes));
    expect(lines).toEqual(['a']);
    expect(splitter.pendingBytes).toBe('unfinished'.length);
    expect(input.destroyed).toBe(true);
  });

  it('still gives what was read when stopped while lines are taken', async () => {
    const input = new PassThrough();
    const stop = new AbortController();
    input.write('a\nb\n');
    const lines: string[] = [];
    for await (const line of linesUntil(input, new LineSplitter(100), stop.signal)) {
      lines.push(String(line.bytes));
      if (lines.length === 1) {
        stop.abort();
        input.write('c\nd\n');
      }
    }
    expect(lines).toEqual(['a', 'b', 'c', 'd']);
  });

  it('gives nothing of a stream that fails but the failure', async () => {
    const input = new PassThrough();
    setTimeout(() => input.destroy(new Error('EIO')), 5);
    const read = async (): Promise<void> => {
      for await (const _line of linesUntil(
        input,
        new LineSplitter(100),
        new AbortController().signal,
      )) {
      }
    };
    await expect(read()).rejects.toThrow('EIO');
  });
});
