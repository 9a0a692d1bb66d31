import type { Opening } from './acknowledgement.js';
import { commitmentHash } from './commitment.js';
import { type ContentPlace, contentPath, contentPlaces, readContentLine } from './content-file.js';
import { type Content, decodeContent } from './content-sealing.js';
import { isNoFolder } from './durable.js';
import type { Commitment } from './event.js';
import { type KnownSubject, SubjectKeys } from './subject-keys.js';

/**
 * What stands behind a commitment, as far as it can be had: `opened`; `erased`; `missing` (nothing is kept of it); `no_key` (it is
 * kept, but not for whom the keys folder knows); `altered` (what is kept is not what was committed to; it is never shown).
 */
export type ContentState = 'opened' | 'erased' | 'missing' | 'no_key' | 'altered';

export interface OpenedMember {
  /** Its path in the record: `action.arguments`; `actor.user_id` for a pseudonym. */
  readonly member: string;
  readonly state: ContentState;
  /** Only where it is `erased`: whose it was. The file says so; whether the book does, `checkContents` looks. */
  readonly subject?: string;
  /** Only where it is `opened`. */
  readonly content?: string;
}

/** Segments whose content was looked up last. */
const indexesMax = 4;

/** Opens commitments and pseudonyms for who may read the keys folder. Reading: it takes no lock and changes nothing. */
export class ContentReader {
  readonly #dir: string;
  readonly #origin: string;
  readonly #keys: SubjectKeys;
  readonly #indexes = new Map<number, ReadonlyMap<string, ContentPlace>>();
  #known: ReadonlyMap<string, KnownSubject> | undefined;

  /** `origin`: of the log. */
  constructor(options: {
    readonly dir: string;
    readonly keysDir: string;
    readonly origin: string;
  }) {
    this.#dir = options.dir;
    this.#origin = options.origin;
    this.#keys = new SubjectKeys(options.keysDir, options.origin);
  }

  /** What a record of the segment that begins with `firstSeq` does not say itself. */
  open(record: object, firstSeq: number): OpenedMember[] {
    const opened: OpenedMember[] = [];
    for (const [member, commitment] of commitmentsIn(record)) {
      opened.push(this.#openMember(member, commitment, firstSeq));
    }
    const pseudonym = pseudonymIn(record);
    const names = pseudonym === undefined ? undefined : this.#subjectOf(pseudonym)?.names;
    if (names?.userId !== undefined) {
      opened.unshift({ member: 'actor.user_id', state: 'opened', content: names.userId });
    }
    return opened;
  }

  #openMember(member: string, commitment: Commitment, firstSeq: number): OpenedMember {
    const place = this.#place(firstSeq, commitment.ref);
    if (place === undefined) return { member, state: 'missing' };
    if (place.erased) return { member, state: 'erased', subject: place.subject };
    if (this.#subjectOf(place.subject) === undefined) return { member, state: 'no_key' };
    const item = this.#read(firstSeq, place)?.items.find((one) => one.member === member);
    if (item === undefined || !isCommitted(item, commitment)) return { member, state: 'altered' };
    return { member, state: 'opened', content: item.content };
  }

  /**
   * The digest of the body that a record was handed in with; undefined where that cannot be known any more. `plain` gives the
   * digest of the body with another user id.
   */
  originalDigest(
    record: object,
    firstSeq: number,
    plain: (userId: string) => string,
  ): string | undefined {
    const [first] = commitmentsIn(record);
    const place = first === undefined ? undefined : this.#place(firstSeq, first[1].ref);
    if (place !== undefined && !place.erased) return this.#read(firstSeq, place)?.digest;
    const pseudonym = pseudonymIn(record);
    if (first !== undefined || pseudonym === undefined) return undefined;
    const userId = this.#subjectOf(pseudonym)?.names.userId;
    return userId === undefined ? undefined : plain(userId);
  }

  #read(firstSeq: number, place: ContentPlace): Content | undefined {
    const subject = this.#subjectOf(place.subject)?.subject;
    if (subject === undefined) return undefined;
    const line = readContentLine(contentPath(this.#dir, firstSeq), place);
    return decodeContent(subject, this.#origin, place.ref, line);
  }

  #subjectOf(pseudonym: string): KnownSubject | undefined {
    this.#known ??= new Map(this.#keys.load().map((known) => [known.subject.pseudonym, known]));
    return this.#known.get(pseudonym);
  }

  #place(firstSeq: number, ref: string): ContentPlace | undefined {
    let index = this.#indexes.get(firstSeq);
    if (index === undefined) {
      index = indexOf(contentPath(this.#dir, firstSeq));
      this.#indexes.delete(firstSeq);
      const oldest = this.#indexes.keys().next().value;
      if (this.#indexes.size >= indexesMax && oldest !== undefined) this.#indexes.delete(oldest);
      this.#indexes.set(firstSeq, index);
    }
    return index.get(ref);
  }
}

function indexOf(file: string): Map<string, ContentPlace> {
  const index = new Map<string, ContentPlace>();
  try {
    for (const place of contentPlaces(file)) index.set(place.ref, place);
  } catch (error) {
    if (!isNoFolder(error)) throw error;
  }
  return index;
}

const refPattern = /^cnt_[0-9a-f-]{36}$/;
const contentSections = ['actor', 'action', 'result'] as const;

function* commitmentsIn(record: object): Generator<readonly [string, Commitment]> {
  for (const section of contentSections) {
    const members: unknown = (record as Record<string, unknown>)[section];
    if (typeof members !== 'object' || members === null) continue;
    for (const [name, value] of Object.entries(members)) {
      if (typeof value !== 'object' || value === null) continue;
      const { sha256, ref } = value as Partial<Commitment>;
      if (typeof sha256 !== 'string' || typeof ref !== 'string' || !refPattern.test(ref)) continue;
      yield [`${section}.${name}`, value as Commitment];
    }
  }
}

function pseudonymIn(record: object): string | undefined {
  const { actor } = record as { readonly actor?: { readonly user_id?: unknown } };
  const id = actor?.user_id;
  return typeof id === 'string' && /^psn_[0-9a-f]{32}$/.test(id) ? id : undefined;
}

function isCommitted({ salt, content }: Opening, { sha256, bytes }: Commitment): boolean {
  return commitmentHash(salt, content) === sha256 && Buffer.byteLength(content) === bytes;
}
