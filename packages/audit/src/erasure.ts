import * as fs from 'node:fs';
import * as path from 'node:path';
import { contentFolder, contentPlaces, eraseFromFile, listContents } from './content-file.js';
import { isThere, replaceFileDurably, syncFolder } from './durable.js';
import { AuditError } from './errors.js';
import { readJsonFile } from './json-file.js';
import { findNewest } from './newest-own.js';
import { type Policy, termsOf } from './retention.js';
import { listSegments } from './segment.js';
import type { KnownSubject, SubjectKeys } from './subject-keys.js';

/** What an erasure did, or has to do. */
export interface Erased {
  /** The pseudonyms that nobody stands behind any more. */
  readonly subjects: readonly string[];
  /** How many contents were sealed for them. */
  readonly contents: number;
}

/** What is to be erased, written down before anything is: by names that tell nobody whom. */
interface Plan extends Erased {
  /** Of the key files; none once that they are gone is recorded. */
  readonly ids: readonly string[];
  /** Records in the log when it was made. */
  readonly seq: number;
}

const planName = 'erasing';

/**
 * Erases subjects, in this order: what is to be done is written down, durably; the keys are destroyed; the writer records it; the
 * content is removed; what was written down is removed. From any point it can be gone through again.
 */
export class Erasure {
  readonly #dir: string;
  readonly #keysDir: string;
  readonly #subjects: SubjectKeys;
  #plan: Plan | undefined;

  constructor(dir: string, keysDir: string, subjects: SubjectKeys) {
    this.#dir = dir;
    this.#keysDir = keysDir;
    this.#subjects = subjects;
    this.#plan = readPlan(this.#file);
  }

  get #file(): string {
    return path.join(this.#keysDir, planName);
  }

  /** Whether one was begun and is not finished. */
  get isPending(): boolean {
    return this.#plan !== undefined;
  }

  /** Whether keys are still to be destroyed, or that is still to be recorded. */
  get isUnrecorded(): boolean {
    return this.#plan !== undefined && this.#plan.ids.length > 0;
  }

  begin(known: readonly KnownSubject[], seq: number): Erased {
    const subjects = known.map(({ subject }) => subject);
    const pseudonyms = subjects.map(({ pseudonym }) => pseudonym);
    const plan: Plan = {
      subjects: pseudonyms,
      contents: countContents(this.#dir, new Set(pseudonyms)),
      ids: subjects.map(({ id }) => id),
      seq,
    };
    this.#write(plan);
    return { subjects: plan.subjects, contents: plan.contents };
  }

  #write(plan: Plan): void {
    replaceFileDurably(this.#file, `${JSON.stringify(plan)}\n`);
    this.#plan = plan;
  }

  /** Destroys the keys. Gives what is to be recorded; undefined where that is in the book already. */
  destroyKeys(): Erased | undefined {
    const plan = this.#plan;
    if (plan === undefined) return undefined;
    this.#subjects.destroy(plan.ids);
    if (isRecorded(this.#dir, plan)) return undefined;
    return { subjects: plan.subjects, contents: plan.contents };
  }

  /** It is, durably. From here on the same users may come again, as others. */
  recorded(): void {
    if (this.#plan !== undefined) this.#write({ ...this.#plan, ids: [] });
  }

  /** Removes the content. */
  finish(): void {
    if (this.#plan === undefined) return;
    const subjects = new Set(this.#plan.subjects);
    for (const file of listContents(this.#dir)) eraseFromFile(file.path, subjects);
    removeUnfinished(this.#dir);
    fs.rmSync(this.#file, { force: true });
    syncFolder(this.#keysDir);
    this.#plan = undefined;
  }
}

/** A file that an interrupted replacement left may hold what was erased. */
function removeUnfinished(dir: string): void {
  const folder = contentFolder(dir);
  if (!isThere(folder)) return;
  for (const name of fs.readdirSync(folder).filter((each) => each.endsWith('.tmp')))
    fs.rmSync(path.join(folder, name), { force: true });
  syncFolder(folder);
}

export function countContents(dir: string, subjects: ReadonlySet<string>): number {
  let count = 0;
  for (const file of listContents(dir)) {
    for (const place of contentPlaces(file.path))
      if (!place.erased && subjects.has(place.subject)) count++;
  }
  return count;
}

function readPlan(file: string): Plan | undefined {
  return readJsonFile(file) as Plan | undefined;
}

function isRecorded(dir: string, { seq, subjects }: Plan): boolean {
  const segments = listSegments(dir);
  const later = segments.filter((_, i) => (segments[i + 1]?.firstSeq ?? Infinity) > seq);
  const found = findNewest(later, 'log.erased', (record) => {
    const named = record.details?.['subjects'];
    const same = Array.isArray(named) && subjects.every((subject) => named.includes(subject));
    return record.seq >= seq && same ? true : undefined;
  });
  return found === true;
}

/**
 * Throws where a legal hold of the policy may cover records of these people: it names one of them, or no actor at all. A hold
 * on others does not.
 */
export function checkHolds(policy: Policy, known: readonly KnownSubject[]): void {
  const names = known.flatMap(({ subject, names: { userId = '', usernames } }) => [
    ...[subject.pseudonym, userId, ...usernames],
  ]);
  const holds = termsOf(policy)?.hold ?? [];
  const covering = holds.find(
    ({ actor }) => actor === undefined || (typeof actor === 'string' && names.includes(actor)),
  );
  if (covering === undefined) return;
  throw new AuditError(
    'held',
    `a legal hold of the log (${JSON.stringify(covering)}) may cover what would be erased; lift it, or say --despite-hold`,
  );
}
