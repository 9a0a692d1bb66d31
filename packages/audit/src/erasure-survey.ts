import * as fs from 'node:fs';
import * as path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { contentFolder, contentPlaces, listContents } from './content-file.js';
import { isNoFolder, isThere, readAll } from './durable.js';
import { AuditError } from './errors.js';
import { listSources, seqOf } from './kept.js';
import { LineFile } from './line-file.js';
import { findLine, parseRecord } from './reader.js';
import { unlessDamaged } from './segment-bytes.js';
import { type KnownSubject, SubjectKeys, subjectsFolder } from './subject-keys.js';

/** What an erasure would destroy, and where else the same words stand. */
export interface ErasureSurvey {
  readonly subjects: readonly {
    readonly pseudonym: string;
    readonly userId?: string;
    readonly usernames: readonly string[];
  }[];
  /** Sealed content that would go. */
  readonly contents: { readonly count: number; readonly bytes: number; readonly files: number };
  /** Records in which one of the words stands in plain text: they stay. The first 20 seqs. */
  readonly records: { readonly count: number; readonly seqs: readonly number[] };
  /** Other files below the log and keys folders in which one of them stands. */
  readonly files: readonly string[];
}

const seqsMax = 20;
/** A shorter word is looked for as a whole JSON string only, for it would be found everywhere. */
const wordBytesMin = 4;
const gzipBytesMax = 256 * 1024 * 1024;

/**
 * Looks through a log and its keys for a user id or username, and for the other names of whoever has it. Changes nothing and needs
 * no lock. Copies elsewhere (backups, exports, archives, what witnesses' hosts keep) nobody here knows of.
 */
export async function surveyErasure(options: {
  readonly dir: string;
  readonly keysDir: string;
  readonly user: string;
}): Promise<ErasureSurvey> {
  const { dir, keysDir, user } = options;
  const found = findSubjects(dir, keysDir, user);
  const words = new Set([
    user,
    ...found.flatMap(({ names }) => [...(names.userId ? [names.userId] : []), ...names.usernames]),
  ]);
  const needles = [...words].filter((word) => word !== '').map(needleOf);
  return {
    subjects: found.map(({ subject, names }) => ({ pseudonym: subject.pseudonym, ...names })),
    contents: contentsOf(dir, new Set(found.map(({ subject }) => subject.pseudonym))),
    records: recordsWith(dir, needles),
    files: [
      ...filesWith(dir, needles, segmentNames(dir)),
      ...filesWith(keysDir, needles, new Set()),
    ],
  };
}

/** The subjects that a user id or username means, as far as the keys folder knows. */
export function findSubjects(dir: string, keysDir: string, user: string): KnownSubject[] {
  if (!isThere(subjectsFolder(keysDir))) return [];
  return new SubjectKeys(keysDir, originOfLog(dir)).find(user);
}

/** As the record at seq 0 has it. Throws `not_found` where there is none. */
export function originOfLog(dir: string): string {
  const first = findLine(dir, 0);
  if (first === undefined) throw new AuditError('not_found', `${dir} holds no log`);
  return String(parseRecord(first.line).details?.['origin']);
}

function contentsOf(dir: string, subjects: ReadonlySet<string>): ErasureSurvey['contents'] {
  const total = { count: 0, bytes: 0, files: 0 };
  for (const file of listContents(dir)) {
    const before = total.count;
    for (const { erased, subject, length } of contentPlaces(file.path)) {
      if (erased || !subjects.has(subject)) continue;
      total.count++;
      total.bytes += length + 1;
    }
    if (total.count > before) total.files++;
  }
  return total;
}

/** A word as it stands inside JSON. */
function needleOf(word: string): Buffer {
  const text = JSON.stringify(word);
  return Buffer.from(Buffer.byteLength(word) < wordBytesMin ? text : text.slice(1, -1));
}

function recordsWith(dir: string, needles: readonly Buffer[]): ErasureSurvey['records'] {
  const seqs: number[] = [];
  let count = 0;
  for (const source of listSources(dir)) {
    const lines = new LineFile(source.path, 0);
    const next = (): boolean => lines.next();
    try {
      // What cannot be read of an archive is for verify to tell.
      while (unlessDamaged(next, false)) {
        const line = lines.buf.subarray(lines.start, lines.end);
        if (!needles.some((needle) => line.includes(needle))) continue;
        count++;
        if (seqs.length < seqsMax) seqs.push(seqOf(lines.buf, lines.start));
      }
    } finally {
      lines.close();
    }
  }
  return { count, seqs };
}

/** These were looked through line by line. */
function segmentNames(dir: string): ReadonlySet<string> {
  return new Set([...listSources(dir).map((source) => source.path), contentFolder(dir)]);
}

function* filesWith(
  folder: string,
  needles: readonly Buffer[],
  except: ReadonlySet<string>,
): Generator<string> {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (isNoFolder(error)) return;
    throw error;
  }
  for (const entry of entries) {
    const file = path.join(folder, entry.name);
    if (except.has(file)) continue;
    if (entry.isDirectory()) yield* filesWith(file, needles, except);
    else if (entry.isFile() && holds(file, needles)) yield file;
  }
}

const blockBytes = 1024 * 1024;

function holds(file: string, needles: readonly Buffer[]): boolean {
  if (file.endsWith('.gz')) return holdsCompressed(file, needles);
  const overlap = Math.max(0, ...needles.map((needle) => needle.length));
  const fd = fs.openSync(file, 'r');
  try {
    const block = Buffer.alloc(blockBytes + overlap);
    for (let at = 0; ; at += blockBytes) {
      const got = readAll(fd, block, at);
      const part = block.subarray(0, got);
      if (needles.some((needle) => part.includes(needle))) return true;
      if (got < block.length) return false;
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** One that cannot be read counts as one that may hold anything. */
function holdsCompressed(file: string, needles: readonly Buffer[]): boolean {
  try {
    const plain = gunzipSync(fs.readFileSync(file), { maxOutputLength: gzipBytesMax });
    return needles.some((needle) => plain.includes(needle));
  } catch {
    return true;
  }
}

/** Whether an erasure was begun that the next opening of the log finishes. */
export function erasureIsPending(keysDir: string): boolean {
  return isThere(path.join(keysDir, 'erasing'));
}
