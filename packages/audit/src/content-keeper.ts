import type { Opening } from './acknowledgement.js';
import { commitmentHash } from './commitment.js';
import { ContentAppender } from './content-file.js';
import { parseContentLines } from './content-lines.js';
import { encodeContent } from './content-sealing.js';
import { AuditError } from './errors.js';
import { actorOf, commitPersonal } from './personal.js';
import { bodyBytesMax } from './record.js';
import { digestOf } from './resend.js';
import type { SubjectKeys } from './subject-keys.js';

/** Sealed content that waits for the next write, at most; besides the lines of the record that crosses it. */
const pendingBytesMax = 4 * 1024 * 1024;

/**
 * What the writer does with content: makes bodies fit to be recorded, and keeps what they do not say, sealed and durable before
 * the records are.
 */
export class ContentKeeper {
  readonly #dir: string;
  readonly #origin: string;
  readonly #subjects: SubjectKeys;
  #appender: ContentAppender | undefined;
  #pending: string[] = [];
  #pendingBytes = 0;

  constructor(dir: string, origin: string, subjects: SubjectKeys) {
    this.#dir = dir;
    this.#origin = origin;
    this.#subjects = subjects;
  }

  get isFull(): boolean {
    return this.#pendingBytes >= pendingBytesMax;
  }

  /**
   * The body to be recorded for an entry, which stands at `source[from..to)`. What belongs to it is written by the next `store`.
   * Throws an AuditError about the entry; any other error is the disk's.
   */
  take(
    batch: Buffer,
    { at, body, end }: { readonly at: number; readonly body: number; readonly end: number },
    mode: 'keep' | 'personal',
  ): { readonly source: Buffer; readonly from: number; readonly to: number } {
    if (mode === 'keep' && body === at) return { source: batch, from: body, to: end };
    const given = parseContentLines(batch.subarray(at, body));
    const bytes = batch.subarray(body, end);
    const parsed = JSON.parse(`{${bytes.toString('utf8')}}`) as Record<string, unknown>;
    if (mode === 'keep') {
      this.#keep(parsed, given);
      return { source: batch, from: body, to: end };
    }
    const source = this.#personal(parsed, given, bytes);
    return { source, from: 0, to: source.length };
  }

  #keep(body: Record<string, unknown>, given: readonly Opening[]): void {
    for (const opening of given) checkOpening(body, opening);
    if (given.length === 0) return;
    const subject = this.#subjects.make(actorOf(body));
    for (const opening of given) {
      this.#add(encodeContent(subject, this.#origin, opening.ref, { items: [opening] }));
    }
  }

  #personal(body: Record<string, unknown>, given: readonly Opening[], original: Buffer): Buffer {
    const subject = this.#subjects.make(actorOf(body));
    const { ref, openings } = commitPersonal(body, subject.pseudonym, given);
    const source = Buffer.from(JSON.stringify(body).slice(1, -1));
    if (source.length > bodyBytesMax) {
      throw new AuditError(
        'too_large',
        'with commitments in place of what is personal the record would be larger than a line may be; pass less in the other members',
      );
    }
    if (ref !== undefined) {
      // Who hands the event in again is told by this that it is recorded.
      const digest = digestOf(original);
      this.#add(encodeContent(subject, this.#origin, ref, { items: openings, digest }));
    }
    return source;
  }

  #add(line: string): void {
    this.#pending.push(line);
    this.#pendingBytes += line.length;
  }

  /** Writes what waits, for records of the segment that begins with `firstSeq`; with `sync` it is on disk then. */
  store(firstSeq: number, sync: boolean): void {
    if (this.#pending.length === 0) return;
    const lines = Buffer.from(this.#pending.join(''));
    try {
      if (this.#appender?.firstSeq !== firstSeq || !this.#appender.isThere) this.close();
      this.#appender ??= new ContentAppender(this.#dir, firstSeq);
      this.#appender.append(lines, sync);
    } catch (error) {
      this.#appender?.abandon();
      this.#appender = undefined;
      throw error;
    }
    this.drop();
  }

  /** Before records that were only written are called durable. */
  sync(): void {
    this.#appender?.sync();
  }

  /** Forgets what waits: its records will not be written. */
  drop(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  close(): void {
    const appender = this.#appender;
    this.#appender = undefined;
    appender?.close();
  }
}

/** A commitment in a body must be one to the content that is handed in with it. */
function checkOpening(
  body: Record<string, unknown>,
  { ref, member, salt, content }: Opening,
): void {
  const [section = '', name = ''] = member.split('.');
  const stored = (body[section] as Record<string, unknown> | undefined)?.[name];
  const { sha256, ref: named } = (stored ?? {}) as { sha256?: unknown; ref?: unknown };
  if (named === ref && sha256 === commitmentHash(salt, content)) return;
  throw new AuditError('wrong_type', `the content of ${member} is not what its commitment says`, {
    member,
  });
}
