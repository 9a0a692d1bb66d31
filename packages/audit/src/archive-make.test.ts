import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { expect, test } from 'vitest';
import { makeArchive } from './archive-make.js';
import { segmentPath } from './segment.js';
import { appendEvents, numbered, openDirect } from './testing/direct-writer.js';
import { type Folders, temporaryLog } from './testing/folders.js';

/** A log with a sealed segment of more than 256 records, and how it is to be archived. */
function sealedLog(): Folders & { task: Parameters<typeof makeArchive>[0] } {
  const folders = temporaryLog();
  const writer = openDirect(folders);
  appendEvents(writer, numbered(0, 600));
  writer.rotate();
  const endSeq = writer.seq;
  appendEvents(writer, numbered(600, 1));
  writer.close();
  const { dir } = folders;
  const source = segmentPath(dir, 0);
  return { ...folders, task: { dir, firstSeq: 0, endSeq, source, target: `${source}.gz.tmp` } };
}

test('a sealed segment is archived as its very bytes', () => {
  const { task } = sealedLog();
  makeArchive(task);
  const { source, target } = task;
  expect(execFileSync('zcat', { input: fs.readFileSync(target) })).toEqual(fs.readFileSync(source));
});

test('one that is stopped between two members leaves nothing', () => {
  const { task } = sealedLog();
  let left = 2;
  expect(() => makeArchive(task, () => left-- > 0)).toThrow('being closed');
  expect(fs.existsSync(task.target)).toBe(false);
});

test('a segment that is not as the tree has it is not archived, and nothing is left', () => {
  const { task } = sealedLog();
  const { source, target } = task;
  const bytes = fs.readFileSync(source);
  bytes[bytes.length >> 1]! ^= 1;
  for (const changed of [bytes, Buffer.concat([fs.readFileSync(source), Buffer.from('x')])]) {
    fs.writeFileSync(source, changed);
    expect(() => makeArchive(task)).toThrow('does not hold the records that the tree has');
    expect(fs.existsSync(target)).toBe(false);
    expect(fs.readFileSync(source)).toEqual(changed);
  }
});
