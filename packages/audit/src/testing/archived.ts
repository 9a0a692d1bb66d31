import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { archiveLog } from '../archive-log.js';
import { readLines } from '../reader.js';
import type { Writer } from '../writer.js';
import { appendEvents, numbered, openDirect } from './direct-writer.js';
import { type Folders, foldersIn, makeTemporary } from './folders.js';

/** A closed log of several sealed segments, each of more than one member once it is archived; the caller removes its folder. */
export function makeSealedLog(count = 1_500): Folders {
  const log = foldersIn(makeTemporary());
  const writer = openDirect(log, { segmentBytesMax: 150_000 });
  for (let at = 0; at < count; at += 50) appendEvents(writer, numbered(at, 50));
  writer.close();
  return log;
}

/** The files of archives below a log folder, in order. */
export function archivesOf(dir: string): string[] {
  const folder = path.join(dir, 'segments');
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.jsonl.gz'));
  return names.sort().map((name) => path.join(folder, name));
}

/** Unfinished archives that were left. */
export function unfinishedIn(dir: string): string[] {
  return fs.readdirSync(path.join(dir, 'segments')).filter((name) => name.endsWith('.gz.tmp'));
}

/** Every line as a reader gets it. */
export async function readAllLines(dir: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { line } of readLines(dir)) lines.push(line.toString());
  return lines;
}

/** Ticks a writer until `done` says so. */
export async function tickUntil(writer: Writer, done: () => boolean): Promise<void> {
  const untilMs = Date.now() + 20_000;
  while (!done()) {
    if (Date.now() > untilMs) throw new Error('nothing came of it in 20 seconds');
    writer.tick();
    await sleep(10);
  }
}

/** All sealed segments of a closed log archived, and the log itself. */
export async function archived(log: Folders): Promise<Folders> {
  await archiveLog(log);
  return log;
}
