import { createHash, randomBytes } from 'node:crypto';
import type { Opening } from './acknowledgement.js';
import { AuditError, reasonOf } from './errors.js';
import { type AuditEvent, isEventType } from './event.js';
import { uuidv7 } from './event-id.js';
import { eventNames, type Field, type Placed, riskNames, sections } from './fields.js';
import { cutEncoded, encodeJson, encodeNumber, isPlainObject, quote } from './json-text.js';

/** A line without its newline is at most this long: the C2SP entry limit. */
export const lineBytesMax = 65_535;
/** What the writer puts around a body: seq, epoch, prev_hash and hash at their longest. */
const frameBytes = 203;
export const bodyBytesMax = lineBytesMax - frameBytes;
/** Content larger than this is refused, not cut: it would have to be hashed whole. */
export const contentBytesMax = 64 * 1024 * 1024;

/** Names members whose content may be replaced by a commitment when the line is too long. */
type Committable = 'action.command' | 'action.arguments' | 'result.error' | 'result.output';

export interface Body {
  /** The record's members from `timestamp` to `trace`, without braces. */
  readonly text: string;
  readonly eventId: string;
  readonly timestamp: string;
  readonly openings: readonly Opening[];
}

/**
 * Checks an event and makes the middle of its line, everything between `seq` and `epoch` (docs/format.md §2). Throws
 * an AuditError naming the member that cannot be recorded. Arguments, output, command and error that do not fit are
 * replaced by commitments with previews, and their openings are returned.
 */
export function encodeEvent(event: AuditEvent, emitter: string): Body {
  try {
    return encodeChecked(event, emitter);
  } catch (error) {
    if (error instanceof AuditError) throw error;
    throw new AuditError('not_json', `the event could not be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function encodeChecked(event: AuditEvent, emitter: string): Body {
  if (typeof event !== 'object' || event === null || !isPlainObject(event)) {
    throw new AuditError('wrong_type', 'an event is a plain object with an eventType');
  }
  if (typeof event.eventType !== 'string') {
    throw new AuditError('missing_member', 'eventType is missing', { member: 'eventType' });
  }
  if (!isEventType(event.eventType)) {
    throw new AuditError(
      'unknown_type',
      `eventType ${JSON.stringify(String(event.eventType).slice(0, 80))} is neither built in nor of the form name.name (lower case, at most 64 bytes, not log.…)`,
      { member: 'eventType' },
    );
  }
  const timestamp = encodeTimestamp(event.timestamp);
  const eventId = event.eventId === undefined ? `evt_${uuidv7()}` : checkEventId(event.eventId);
  const content: Contents = { members: [], measured: false };
  const build = (): string => encodeMembers(event, timestamp, eventId, emitter, content);
  const text = build();
  if (fits(text)) return { text, eventId, timestamp, openings: [] };
  content.measured = true;
  const openings = commit(content.members, Buffer.byteLength(text));
  const cut = build();
  if (!fits(cut)) throw tooLarge(event, content.members);
  return { text: cut, eventId, timestamp, openings };
}

function fits(text: string): boolean {
  // A UTF-16 unit is at most three bytes, so short texts need no count.
  return text.length * 3 <= bodyBytesMax || Buffer.byteLength(text) <= bodyBytesMax;
}

/** A committable member as it was found, and what stands for it once it was too large. */
interface ContentMember {
  readonly name: Committable;
  readonly content: string;
  /** Known once the line was found too long. */
  encodedBytes: number;
  replacement: string | undefined;
}

/** The committable members of one event: measured while the line is built first, replaced while it is built again. */
interface Contents {
  members: ContentMember[];
  measured: boolean;
}

function encodeMembers(
  event: AuditEvent,
  timestamp: string,
  eventId: string,
  emitter: string,
  content: Contents,
): string {
  let text = `"timestamp":"${timestamp}","event_id":"${eventId}","event_type":"${event.eventType}"`;
  text += `,"emitter":${checkText(event.emitter ?? emitter, 'emitter')}`;
  if (event.emitter === 'log') {
    throw new AuditError('wrong_type', 'the emitter "log" is the log itself; use another name', {
      member: 'emitter',
    });
  }
  for (const name of Object.keys(event)) if (!eventNames.has(name)) throw unknownMember(name, '');
  for (const section of sections) {
    const value: unknown = event[section.name];
    if (value === undefined) continue;
    if (section.fields === undefined) {
      text += `,"${section.stored}":${
        section.kind === 'text'
          ? checkText(value, section.name)
          : encodeDetails(value, section.name)
      }`;
      continue;
    }
    const inner = encodeSection(value, section.name, section.fields, content);
    if (inner !== '') text += `,"${section.stored}":{${inner}}`;
  }
  return text;
}

function encodeDetails(value: unknown, name: string): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AuditError('wrong_type', `${name} must be an object`, { member: name });
  }
  return encodeJson(value, name);
}

function encodeSection(
  value: unknown,
  name: string,
  fields: ReadonlyMap<string, Placed>,
  content: Contents,
): string {
  if (typeof value !== 'object' || value === null || !isPlainObject(value)) {
    throw new AuditError('wrong_type', `${name} must be a plain object`, { member: name });
  }
  let text = '';
  let last = -1;
  for (const key of Object.keys(value)) {
    const field = fields.get(key);
    if (field === undefined) throw unknownMember(key, `${name}.`);
    const item = value[key];
    if (item === undefined) continue;
    if (field.place < last) {
      if (!content.measured)
        content.members = content.members.filter((entry) => !entry.name.startsWith(`${name}.`));
      return encodeSection(inOrder(value, fields), name, fields, content);
    }
    last = field.place;
    const encoded = `"${field.stored}":${encodeField(item, field, name, content)}`;
    text += text === '' ? encoded : `,${encoded}`;
  }
  return text;
}

/** The same members in the record's order. */
function inOrder(value: object, fields: ReadonlyMap<string, Placed>): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, item]) => {
    const field = fields.get(key);
    return { key, item, place: field === undefined ? -1 : field.place };
  });
  entries.sort((a, b) => a.place - b.place);
  return Object.fromEntries(entries.map(({ key, item }) => [key, item]));
}

function encodeField(item: unknown, field: Field, section: string, content: Contents): string {
  const member = `${section}.${field.name}`;
  switch (field.kind) {
    case 'text':
      return checkText(item, member);
    case 'content':
      return encodeContent(
        `${section}.${field.stored}`,
        checkedString(item, member),
        member,
        content,
      );
    case 'json':
      return encodeContent(`${section}.${field.stored}`, encodeJson(item, member), member, content);
    case 'flag':
      if (typeof item !== 'boolean') throw wrongType(member, 'true or false');
      return item ? 'true' : 'false';
    case 'integer':
      if (typeof item !== 'number') throw wrongType(member, 'an integer');
      if (Number.isFinite(item) && !Number.isInteger(item)) throw wrongType(member, 'an integer');
      return encodeNumber(item, member);
    case 'number':
      if (typeof item !== 'number') throw wrongType(member, 'a number');
      return encodeNumber(item, member);
    case 'texts':
      if (!Array.isArray(item)) throw wrongType(member, 'an array of strings');
      return `[${item.map((text, i) => checkText(text, `${member}[${i}]`)).join(',')}]`;
    case 'risk':
      if (typeof item !== 'string' || !riskNames.has(item)) {
        throw wrongType(member, 'low, medium, high or critical');
      }
      return `"${item}"`;
    case 'phase':
      if (item !== 'intent' && item !== 'outcome') throw wrongType(member, 'intent or outcome');
      return `"${item}"`;
    case 'hex':
      if (typeof item !== 'string' || item.length !== field.digits || !/^[0-9a-f]+$/.test(item)) {
        throw wrongType(member, `${field.digits} lower-case hex digits`);
      }
      return `"${item}"`;
  }
}

/** Text that may become a commitment: the first time it is measured, the second time its replacement stands in. */
function encodeContent(stored: string, text: string, member: string, content: Contents): string {
  const known = content.members.find((entry) => entry.name === stored);
  if (content.measured) return known?.replacement ?? quote(text, member);
  if (known !== undefined) throw wrongType(member, 'given as a value or as text, not both');
  if (text.length > contentBytesMax) {
    throw new AuditError('too_large', `${member} is larger than ${contentBytesMax} bytes`, {
      member,
    });
  }
  const encoded = quote(text, member);
  content.members.push({
    name: stored as Committable,
    content: text,
    encodedBytes: -1,
    replacement: undefined,
  });
  return encoded;
}

/** Bytes a commitment takes besides its preview. */
const commitmentBytes =
  '{"preview":"","sha256":"","bytes":,"ref":""}'.length + 64 + 16 + 'cnt_'.length + 36;

/** Shares what room there is among the content members, small ones first, and replaces those that do not fit. */
function commit(content: ContentMember[], totalBytes: number): Opening[] {
  const openings: Opening[] = [];
  for (const entry of content)
    entry.encodedBytes = Buffer.byteLength(quote(entry.content, entry.name));
  const sizes = content.reduce((sum, entry) => sum + entry.encodedBytes, 0);
  let room = bodyBytesMax - (totalBytes - sizes);
  const bySize = [...content].sort((a, b) => a.encodedBytes - b.encodedBytes);
  bySize.forEach((entry, i) => {
    const share = Math.floor(room / (bySize.length - i));
    if (entry.encodedBytes <= share) {
      room -= entry.encodedBytes;
      return;
    }
    const preview = cutEncoded(entry.content, Math.max(0, share - commitmentBytes));
    const salt = randomBytes(32);
    const ref = `cnt_${uuidv7()}`;
    const sha256 = createHash('sha256').update(salt).update(entry.content, 'utf8').digest('hex');
    const bytes = Buffer.byteLength(entry.content);
    entry.replacement = `{"preview":${JSON.stringify(preview)},"sha256":"${sha256}","bytes":${bytes},"ref":"${ref}"}`;
    room -= Buffer.byteLength(entry.replacement);
    openings.push({ ref, member: entry.name, salt, content: entry.content });
  });
  return openings;
}

function tooLarge(event: AuditEvent, content: readonly ContentMember[]): AuditError {
  let member = 'event';
  let largest = -1;
  for (const section of sections) {
    const value: unknown = event[section.name];
    if (value === undefined) continue;
    const replaced = content.filter((entry) => entry.name.startsWith(`${section.name}.`));
    const bytes =
      Buffer.byteLength(JSON.stringify(value)) -
      replaced.reduce((sum, entry) => sum + entry.encodedBytes, 0);
    if (bytes > largest) {
      largest = bytes;
      member = section.name;
    }
  }
  return new AuditError(
    'too_large',
    `the record would be larger than ${lineBytesMax} bytes, and ${member} takes the most of what cannot be cut; pass less`,
    { member },
  );
}

function unknownMember(name: string, prefix: string): AuditError {
  const member = `${prefix}${name.slice(0, 80)}`;
  if (name === '__proto__') {
    return new AuditError('prototype_key', `${member} is not a member of an event`, { member });
  }
  return new AuditError(
    'unknown_member',
    `${member} is not a member of an event; put your own facts into details`,
    { member },
  );
}

function checkedString(item: unknown, member: string): string {
  if (typeof item !== 'string') throw wrongType(member, 'a string');
  return item;
}

function checkText(item: unknown, member: string): string {
  return quote(checkedString(item, member), member);
}

function wrongType(member: string, wanted: string): AuditError {
  return new AuditError('wrong_type', `${member} must be ${wanted}`, { member });
}

const eventIdPattern = /^evt_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function checkEventId(id: unknown): string {
  if (typeof id !== 'string' || !eventIdPattern.test(id)) {
    throw wrongType('eventId', 'evt_ and a lower-case UUID');
  }
  return id;
}

// Many events share a millisecond; formatting it once is enough.
let lastMs = Number.NaN;
let lastText = '';

/** A time in milliseconds since 1970 as `YYYY-MM-DDTHH:MM:SS.mmmZ`. */
export function formatTime(ms: number): string {
  if (ms !== lastMs) {
    lastText = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastText;
}

function encodeTimestamp(value: unknown): string {
  if (value === undefined) return formatTime(Date.now());
  const ms =
    value instanceof Date
      ? value.getTime()
      : typeof value === 'string' && /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d/.test(value)
        ? Date.parse(value)
        : Number.NaN;
  const text = Number.isFinite(ms) ? new Date(ms).toISOString() : '';
  if (text.length !== 24)
    throw wrongType('timestamp', 'a Date or an RFC 3339 string of the years 0 to 9999');
  return text;
}
