import * as fs from 'node:fs';
import * as path from 'node:path';
import { isThere, makeFolder, namesIn, replaceFileDurably, syncFolder } from './durable.js';
import type { JsonObject } from './event.js';
import { readJsonFile } from './json-file.js';

/** A log that could not go on, kept in the folder of the one that took its place: `former/<n>`, and its keys likewise. */

const noteName = 'former.json';

function formerFolder(dir: string): string {
  return path.join(dir, 'former');
}

function numbersIn(dir: string): number[] {
  const names = namesIn(formerFolder(dir)).filter((name) => /^[0-9]{1,9}$/.test(name));
  return names.map(Number).sort((a, b) => a - b);
}

/** What the newest former log was, for the first record of this one. */
export function readFormer(dir: string): JsonObject | undefined {
  const newest = numbersIn(dir).at(-1);
  if (newest === undefined) return undefined;
  return readJsonFile(path.join(formerFolder(dir), String(newest), noteName));
}

/** Names in either folder that stay where they are. */
const staying = new Set(['former', 'lock', 'reserve']);

/**
 * Moves everything of a log and its keys into `former/<n>` of each folder. May be interrupted anywhere and done again: what the
 * log was is written down first, and its segments, without which the folder would look new, go last.
 */
export function setLogAside(dir: string, keysDir: string, facts: JsonObject): string {
  const last = numbersIn(dir).at(-1);
  const unfinished =
    last !== undefined && !isThere(path.join(formerFolder(dir), String(last), 'segments'));
  const number = String(unfinished ? last : (last ?? -1) + 1);
  const folder = path.join(formerFolder(dir), number);
  const note = path.join(folder, noteName);
  makeFolder(folder);
  if (!isThere(note))
    replaceFileDurably(note, `${JSON.stringify({ ...facts, folder: `former/${number}` })}\n`);
  moveAll(keysDir, path.join(formerFolder(keysDir), number), 'origin');
  moveAll(dir, folder, 'segments');
  return folder;
}

/** `last` is moved when everything else is gone; the origin alone still makes the keys unusable without the others. */
function moveAll(from: string, to: string, last: string): void {
  const names = namesIn(from).filter((name) => !staying.has(name));
  if (names.length === 0) return;
  makeFolder(to);
  for (const name of [
    ...names.filter((each) => each !== last),
    ...names.filter((each) => each === last),
  ]) {
    if (name === last) syncFolder(to);
    fs.renameSync(path.join(from, name), path.join(to, name));
  }
  syncFolder(to);
  syncFolder(from);
}
