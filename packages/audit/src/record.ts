import type { Opening } from './acknowledgement.js';
import { type ContentMember, commitContent } from './commitment.js';
import { AuditError, reasonOf } from './errors.js';
import { type AuditEvent, isEventType } from './event.js';
import { eventPlaces, type FieldSection, type Placed, riskNames, sections } from './fields.js';
import { newId } from './id.js';
import { checkNumber, contentBytesMax, encodeJson, isPlainObject, quote } from './json-text.js';
import { encodeTimestamp } from './timestamp.js';

/** A line without its newline is at most this long: the C2SP entry limit. */
export const lineBytesMax = 65_535;
/** What the writer puts around a body: seq, epoch, prev_hash and hash at their longest. */
const frameBytes = 203;
export const bodyBytesMax = lineBytesMax - frameBytes;

export interface Body {
  /** The record's members from `timestamp` to `trace`, without braces. */
  readonly text: string;
  readonly eventId: string;
  readonly timestamp: string;
  readonly openings: readonly Opening[];
}

const noOpenings: readonly Opening[] = [];

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

function encodeChecked(given: AuditEvent, usualEmitter: string): Body {
  const values = readMembers(given);
  const eventType = checkType(values[2]);
  const timestamp = encodeTimestamp(values[0]);
  const eventId = values[1] === undefined ? newId('evt_') : checkEventId(values[1]);
  const emitter =
    values[3] === undefined ? quote(usualEmitter, 'emitter') : checkEmitter(values[3]);
  const content: ContentMember[] = [];
  let text = `"timestamp":"${timestamp}","event_id":"${eventId}","event_type":"${eventType}","emitter":${emitter}`;
  for (let i = 0; i < sections.length; i++) {
    const value = values[4 + i];
    if (value === undefined) continue;
    const section = sections[i]!;
    const { name, opening } = section;
    if (section.kind === 'fields') {
      const members = sectionText(value, section, text.length + opening.length, content);
      if (members !== '{') text += `${opening}${members}}`;
    } else {
      const isText = section.kind === 'text';
      text += opening + (isText ? checkedText(value, name) : encodeDetails(value, name));
    }
  }
  if (fits(text)) return { text, eventId, timestamp, openings: noOpenings };
  const cut = commitContent(text, content, bodyBytesMax);
  if (!fits(cut.text)) throw tooLarge(cut.text);
  return { ...cut, eventId, timestamp };
}

/**
 * The event's own members by their place, each read once: a getter cannot change what was checked, a prototype cannot add
 * to it.
 */
function readMembers(given: AuditEvent): unknown[] {
  if (typeof given !== 'object' || given === null || !isPlainObject(given)) {
    throw new AuditError('wrong_type', 'an event is a plain object with an eventType');
  }
  const values: unknown[] = new Array(eventPlaces.size).fill(undefined);
  for (const name of Object.keys(given)) {
    const place = eventPlaces.get(name);
    if (place === undefined) throw unknownMember(name, '');
    values[place] = given[name];
  }
  return values;
}

function fits(text: string): boolean {
  // A UTF-16 unit is at most three bytes, so short texts need no count.
  return text.length * 3 <= bodyBytesMax || Buffer.byteLength(text) <= bodyBytesMax;
}

function tooLarge(text: string): AuditError {
  const record = JSON.parse(`{${text}}`) as Record<string, unknown>;
  const sizes = Object.entries(record).map(([name, value]) => ({
    name,
    bytes: Buffer.byteLength(JSON.stringify(value)),
  }));
  const member = sizes.sort((a, b) => b.bytes - a.bytes)[0]?.name ?? 'event';
  return new AuditError(
    'too_large',
    `the record would be larger than ${lineBytesMax} bytes, and ${member} takes the most of what cannot be cut; pass less`,
    { member },
  );
}

function checkType(type: unknown): string {
  if (typeof type !== 'string') {
    throw new AuditError('missing_member', 'eventType is missing', { member: 'eventType' });
  }
  if (isEventType(type)) return type;
  throw new AuditError(
    'unknown_type',
    `eventType ${JSON.stringify(type.slice(0, 80))} is neither built in nor of the form name.name (lower case, at most 64 bytes, not log.…)`,
    { member: 'eventType' },
  );
}

function checkEmitter(emitter: unknown): string {
  if (emitter === 'log') {
    throw new AuditError('wrong_type', 'the emitter "log" is the log itself; use another name', {
      member: 'emitter',
    });
  }
  return checkedText(emitter, 'emitter');
}

function encodeDetails(value: unknown, name: string): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(name, 'an object');
  }
  const text = encodeJson(value, name, lineBytesMax);
  if (!text.startsWith('{')) throw wrongType(name, 'an object');
  return text;
}

/**
 * A section's members in the record's order as JSON, without the closing brace. `at` is where it begins in the body.
 */
function sectionText(
  value: unknown,
  { name, fields, places }: FieldSection,
  at: number,
  content: ContentMember[],
): string {
  if (typeof value !== 'object' || value === null || !isPlainObject(value)) {
    throw wrongType(name, 'a plain object');
  }
  const items: unknown[] = new Array(fields.length).fill(undefined);
  for (const key of Object.keys(value)) {
    const place = places.get(key);
    if (place === undefined) throw unknownMember(key, `${name}.`);
    items[place] = value[key];
  }
  let text = '{';
  let lastStored = '';
  for (let place = 0; place < items.length; place++) {
    const item = items[place];
    if (item === undefined) continue;
    const field = fields[place]!;
    if (field.stored === lastStored) {
      throw wrongType(field.member, 'given as a value or as text, not both');
    }
    text += lastStored === '' ? field.opening : field.laterOpening;
    text += fieldText(item, field, at + text.length, content);
    lastStored = field.stored;
  }
  return text;
}

function fieldText(item: unknown, field: Placed, at: number, content: ContentMember[]): string {
  const { member } = field;
  switch (field.kind) {
    case 'text':
      return checkedText(item, member);
    case 'content':
      if (typeof item !== 'string') throw wrongType(member, 'a string');
      return contentText(item, field, at, content);
    case 'json':
      return contentText(encodeJson(item, member), field, at, content);
    case 'flag':
      if (typeof item !== 'boolean') throw wrongType(member, 'true or false');
      return item ? 'true' : 'false';
    case 'integer':
      if (typeof item !== 'number') throw wrongType(member, 'an integer');
      checkNumber(item, member);
      if (!Number.isInteger(item)) throw wrongType(member, 'an integer');
      return numberText(item);
    case 'number':
      if (typeof item !== 'number') throw wrongType(member, 'a number');
      checkNumber(item, member);
      return numberText(item);
    case 'texts':
      if (!Array.isArray(item)) throw wrongType(member, 'an array of strings');
      return `[${Array.from(item, (text, i) => checkedText(text, `${member}[${i}]`)).join(',')}]`;
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

function numberText(value: number): string {
  return Object.is(value, -0) ? '0' : String(value);
}

/** Text that may become a commitment when the line is too long. */
function contentText(
  content: string,
  { member, storedMember }: Placed,
  at: number,
  members: ContentMember[],
): string {
  if (content.length > contentBytesMax) {
    throw new AuditError('too_large', `${member} is larger than ${contentBytesMax} bytes`, {
      member,
    });
  }
  const text = quote(content, member);
  members.push({ name: storedMember, content, at, length: text.length });
  return text;
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

function checkedText(item: unknown, member: string): string {
  if (typeof item !== 'string') throw wrongType(member, 'a string');
  return quote(item, member);
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
