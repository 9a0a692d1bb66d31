import type { Opening } from './acknowledgement.js';
import { type Sealed, seal, unseal } from './sealed.js';
import type { Subject } from './subject-keys.js';

/** One line of a content file: what one or more commitments of a record stand for, sealed under its subject's key. */

export interface Content {
  readonly items: readonly Opening[];
  /** Hex SHA-256 of the body as it was handed in, where it was changed. */
  readonly digest?: string;
}

interface PlainItem {
  readonly member: string;
  readonly salt: string;
  readonly content: string;
}

export function encodeContent(
  subject: Subject,
  origin: string,
  ref: string,
  { items, digest }: Content,
): string {
  const plain = {
    ...(digest === undefined ? {} : { digest }),
    items: items.map(({ member, salt, content }) => ({
      ...{ member, salt: Buffer.from(salt).toString('base64'), content },
    })),
  };
  const label = labelOf(origin, ref, subject.pseudonym);
  const sealed = seal(subject.key, label, Buffer.from(JSON.stringify(plain)));
  return `${JSON.stringify({ ref, subject: subject.pseudonym, ...sealed })}\n`;
}

/** The content of a parsed line; undefined where it was not sealed for this log, ref and subject, or was changed since. */
export function decodeContent(
  subject: Subject,
  origin: string,
  ref: string,
  line: unknown,
): Content | undefined {
  const { nonce, data } = (line ?? {}) as Partial<Sealed>;
  if (typeof nonce !== 'string' || typeof data !== 'string') return undefined;
  const label = labelOf(origin, ref, subject.pseudonym);
  const plain = unseal(subject.key, label, { nonce, data });
  if (plain === undefined) return undefined;
  const { items, digest } = JSON.parse(plain.toString('utf8')) as {
    items: readonly PlainItem[];
    digest?: string;
  };
  return {
    items: items.map(({ member, salt, content }) => ({
      ...{ ref, member, content, salt: Buffer.from(salt, 'base64') },
    })),
    ...(digest === undefined ? {} : { digest }),
  };
}

function labelOf(origin: string, ref: string, pseudonym: string): readonly string[] {
  return ['gatebook/content/v1', origin, ref, pseudonym];
}
