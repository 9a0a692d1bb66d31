import { createHmac, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { isThere, makeFolder, namesIn, readIfThere, replaceFile, syncFolder } from './durable.js';
import { formatHmacKey, parseHmacKey } from './epoch-keys.js';
import { AuditError } from './errors.js';
import { wipeFile } from './private-file.js';
import { derive, parseSealed, seal, unseal } from './sealed.js';

/** Whom records tell of, as the keys folder knows him: docs/format.md §12. */
export interface Subject {
  /** Names his files: 64 hex digits, keyed, so that the name tells nobody who he is. */
  readonly id: string;
  /** What stands in records in his place; derived from his key, so that nobody can make it once that is gone. */
  readonly pseudonym: string;
  readonly key: Uint8Array;
}

/** Somebody as a record names him. */
export interface Person {
  readonly userId?: string | undefined;
  readonly username?: string | undefined;
}

/** What is known by the key only. */
export interface SubjectNames {
  /** Absent for who is known by his username only, and for the log's own subject. */
  readonly userId?: string;
  /** The newest 32 at most. */
  readonly usernames: readonly string[];
}

export interface KnownSubject {
  readonly subject: Subject;
  readonly names: SubjectNames;
}

interface Known extends KnownSubject {
  names: SubjectNames;
}

const pseudonymKeyName = 'pseudonym-key';
const keyPattern = /^([0-9a-f]{64})\.key$/;
const namesPattern = /^([0-9a-f]{64})\.names$/;
const usernamesMax = 32;
/** A longer one is not looked up by. */
const usernameCharsMax = 1_000;
/** Subjects whose keys the writer keeps in memory. */
const cachedMax = 4_096;

export function subjectsFolder(keysDir: string): string {
  return path.join(keysDir, 'subjects');
}

/** The subjects of a log. Only its writer makes and destroys them; whoever may read the keys folder may look. */
export class SubjectKeys {
  readonly #keysDir: string;
  readonly #origin: string;
  readonly #cached = new Map<string, Known>();
  #pseudonymKey: Buffer | undefined;

  constructor(keysDir: string, origin: string) {
    this.#keysDir = keysDir;
    this.#origin = origin;
  }

  /** The subject of somebody, or the log's own; made durable at first sight, before any record needs it. */
  make({ userId, username }: Person): Subject {
    const pseudonymKey = this.#pseudonymKey ?? this.#readOrMakePseudonymKey();
    const id = idOf({ userId, username }, pseudonymKey);
    const known = this.#cached.get(id) ?? this.#read(id) ?? this.#create(id, userId);
    this.#remember(id, known);
    const names = withNames(known.names, userId, username);
    if (names !== known.names) {
      this.#writeNames(known.subject, names);
      syncFolder(this.#folder);
      known.names = names;
    }
    return known.subject;
  }

  /** Whom a user id or a username means; more than one where they share it. */
  find(text: string): KnownSubject[] {
    return this.load().filter(
      ({ names }) => names.userId === text || names.usernames.includes(text),
    );
  }

  /** All subjects there are. */
  load(): KnownSubject[] {
    return this.#ids(keyPattern)
      .map((id) => this.#read(id))
      .filter((known) => known !== undefined);
  }

  /** How many there are, without looking at any. */
  get count(): number {
    return this.#ids(keyPattern).length;
  }

  /** Overwrites and removes the keys, then all that lies beside them. May be interrupted anywhere and done again. */
  destroy(ids: readonly string[]): void {
    this.forget();
    for (const id of ids) {
      wipeFile(this.#file(id, 'key'));
      fs.rmSync(this.#file(id, 'names'), { force: true });
    }
    if (isThere(this.#folder)) syncFolder(this.#folder);
  }

  /** Removes what an interruption left, and makes durable what it made. */
  tidy(): void {
    if (!isThere(this.#folder)) return;
    syncFolder(this.#keysDir);
    const keyed = new Set(this.#ids(keyPattern));
    const orphans = this.#ids(namesPattern).filter((id) => !keyed.has(id));
    for (const id of orphans) fs.rmSync(this.#file(id, 'names'), { force: true });
    for (const name of namesIn(this.#folder).filter((each) => each.endsWith('.tmp')))
      fs.rmSync(path.join(this.#folder, name), { force: true });
    syncFolder(this.#folder);
  }

  /** Drops every key from memory. */
  forget(): void {
    this.#cached.clear();
  }

  get #folder(): string {
    return subjectsFolder(this.#keysDir);
  }

  #file(id: string, kind: 'key' | 'names'): string {
    return path.join(this.#folder, `${id}.${kind}`);
  }

  #ids(pattern: RegExp): string[] {
    return namesIn(this.#folder)
      .map((name) => pattern.exec(name)?.[1])
      .filter((id) => id !== undefined);
  }

  #remember(id: string, known: Known): void {
    if (this.#cached.has(id)) return;
    const oldest = this.#cached.keys().next().value;
    if (this.#cached.size >= cachedMax && oldest !== undefined) this.#cached.delete(oldest);
    this.#cached.set(id, known);
  }

  #readOrMakePseudonymKey(): Buffer {
    const file = path.join(this.#keysDir, pseudonymKeyName);
    const text = readIfThere(file);
    if (text !== undefined) this.#pseudonymKey = this.#parseKey(file, text);
    else {
      const key = randomBytes(32);
      replaceFile(file, formatHmacKey(this.#origin, key));
      makeFolder(this.#folder);
      syncFolder(this.#keysDir);
      this.#pseudonymKey = key;
    }
    return this.#pseudonymKey;
  }

  #parseKey(file: string, text: string): Buffer {
    const { origin, key } = parseHmacKey(text);
    if (origin === this.#origin) return key;
    throw new AuditError('wrong_log', `${file} is a key of ${origin}, the log is ${this.#origin}`);
  }

  #read(id: string): Known | undefined {
    const file = this.#file(id, 'key');
    const text = readIfThere(file);
    if (text === undefined) return undefined;
    // An interrupted erasure leaves a key of zeros; its subject is gone.
    if (text === '' || text.startsWith('\0')) return undefined;
    const subject = this.#subject(id, this.#parseKey(file, text));
    return { subject, names: this.#readNames(subject) };
  }

  #readNames(subject: Subject): SubjectNames {
    const file = this.#file(subject.id, 'names');
    const text = readIfThere(file);
    if (text === undefined) return { usernames: [] };
    const sealed = parseSealed(text);
    const plain = sealed && unseal(subject.key, this.#namesLabel(subject), sealed);
    if (plain !== undefined) return JSON.parse(plain.toString('utf8')) as SubjectNames;
    throw new AuditError(
      'log_damaged',
      `${file} is not what was written to it; restore the keys folder from a backup`,
    );
  }

  #create(id: string, userId: string | undefined): Known {
    const key = randomBytes(32);
    const subject = this.#subject(id, key);
    const names: SubjectNames =
      userId === undefined ? { usernames: [] } : { userId, usernames: [] };
    // The key comes last: with it the subject exists, and its names must lie there then.
    makeFolder(this.#folder);
    this.#writeNames(subject, names);
    replaceFile(this.#file(id, 'key'), formatHmacKey(this.#origin, key));
    syncFolder(this.#folder);
    return { subject, names };
  }

  #subject(id: string, key: Uint8Array): Subject {
    const label = ['gatebook/pseudonym/v1', this.#origin];
    return { id, key, pseudonym: `psn_${derive(key, label, 16).toString('hex')}` };
  }

  #writeNames(subject: Subject, names: SubjectNames): void {
    const sealed = seal(subject.key, this.#namesLabel(subject), Buffer.from(JSON.stringify(names)));
    replaceFile(this.#file(subject.id, 'names'), `${JSON.stringify(sealed)}\n`);
  }

  #namesLabel(subject: Subject): readonly string[] {
    return ['gatebook/names/v1', this.#origin, subject.pseudonym];
  }
}

/** By his user id, else by his username; who has neither is the log's own. */
function idOf({ userId, username }: Person, pseudonymKey: Buffer): string {
  const named = username === undefined ? 'log\n' : `name\n${username}`;
  const who = userId === undefined ? named : `user\n${userId}`;
  return createHmac('sha256', pseudonymKey).update(who).digest('hex');
}

/** The same object where nothing is new. */
function withNames(
  names: SubjectNames,
  userId: string | undefined,
  username: string | undefined,
): SubjectNames {
  const { usernames } = names;
  const isNew =
    username !== undefined && username.length <= usernameCharsMax && !usernames.includes(username);
  // A power loss between two renames may have left the key without the names.
  if (!isNew && names.userId === userId) return names;
  return {
    ...(userId === undefined ? {} : { userId }),
    usernames: isNew ? [...usernames, username].slice(-usernamesMax) : usernames,
  };
}
