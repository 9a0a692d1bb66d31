import type { Opening } from './acknowledgement.js';
import { type ContentMember, commitContent, encodedBytes } from './commitment.js';
import { AuditError, reasonOf } from './errors.js';
import { type AuditEvent, isEventType } from './event.js';
import { uuidv7 } from './event-id.js';
import { eventNames, type Field, type Placed, riskNames, sections } from './fields.js';
import { checkNumber, checkText, contentBytesMax, encodeJson, isPlainObject } from './json-text.js';

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

/** A record's members under their stored names, in the record's order. */
type Stored = Record<string, unknown>;

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

function encodeChecked(given: AuditEvent, emitter: string): Body {
  const event = snapshot(given);
  checkEvent(event);
  const timestamp = encodeTimestamp(event.timestamp);
  const eventId = event.eventId === undefined ? `evt_${uuidv7()}` : checkEventId(event.eventId);
  const content: ContentMember[] = [];
  const record: Stored = {
    timestamp,
    event_id: eventId,
    event_type: event.eventType,
    emitter: event.emitter === undefined ? emitter : checkEmitter(event.emitter),
  };
  let details = '';
  for (const section of sections) {
    const value: unknown = event[section.name];
    if (value === undefined) continue;
    if (section.fields !== undefined) {
      const stored = storeSection(value, section.name, section.fields, content);
      if (stored !== undefined) record[section.stored] = stored;
    } else if (section.kind === 'text') {
      record[section.stored] = checkedText(value, section.name);
    } else {
      details = `,"${section.stored}":${encodeDetails(value, section.name)}`;
    }
  }
  const text = bodyText(record, details);
  if (fits(text)) return { text, eventId, timestamp, openings: [] };
  return { ...cutToFit(record, details, text, content), eventId, timestamp };
}

/** The event's own members, each read once: a getter cannot change what was checked, a prototype cannot add to it. */
function snapshot(given: AuditEvent): AuditEvent {
  if (typeof given !== 'object' || given === null || !isPlainObject(given)) {
    throw new AuditError('wrong_type', 'an event is a plain object with an eventType');
  }
  return { __proto__: null, ...given } as AuditEvent;
}

/** The body's text; `details` is encoded already, and stands before `trace`. */
function bodyText(record: Stored, details: string): string {
  if ('toJSON' in Object.prototype) shield(record);
  if (details === '' || record['trace'] === undefined) {
    return JSON.stringify(record).slice(1, -1) + details;
  }
  const { trace, ...rest } = record;
  if ('toJSON' in Object.prototype) shield(rest);
  return `${JSON.stringify(rest).slice(1, -1)}${details},"trace":${JSON.stringify(trace)}`;
}

/** Somebody has given every object a `toJSON`; ours get one of their own that does nothing. */
function shield(value: object): void {
  Object.defineProperty(value, 'toJSON', { value: undefined, configurable: true });
  for (const item of Object.values(value)) {
    if (typeof item === 'object' && item !== null) shield(item);
  }
}

function fits(text: string): boolean {
  // A UTF-16 unit is at most three bytes, so short texts need no count.
  return text.length * 3 <= bodyBytesMax || Buffer.byteLength(text) <= bodyBytesMax;
}

function cutToFit(
  record: Stored,
  details: string,
  text: string,
  content: readonly ContentMember[],
): Pick<Body, 'text' | 'openings'> {
  const contentBytes = content.reduce((sum, member) => sum + encodedBytes(member.content), 0);
  const openings = commitContent(content, bodyBytesMax - (Buffer.byteLength(text) - contentBytes));
  const cut = bodyText(record, details);
  if (!fits(cut)) throw tooLarge({ ...record, details });
  return { text: cut, openings };
}

function tooLarge(record: Stored): AuditError {
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

function checkEvent(event: AuditEvent): void {
  for (const name of Object.keys(event)) if (!eventNames.has(name)) throw unknownMember(name, '');
  if (typeof event.eventType !== 'string') {
    throw new AuditError('missing_member', 'eventType is missing', { member: 'eventType' });
  }
  if (isEventType(event.eventType)) return;
  throw new AuditError(
    'unknown_type',
    `eventType ${JSON.stringify(String(event.eventType).slice(0, 80))} is neither built in nor of the form name.name (lower case, at most 64 bytes, not log.…)`,
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

/** A section's members in the record's order; undefined when there is none. */
function storeSection(
  value: unknown,
  name: string,
  fields: ReadonlyMap<string, Placed>,
  content: ContentMember[],
): Stored | undefined {
  if (typeof value !== 'object' || value === null || !isPlainObject(value)) {
    throw wrongType(name, 'a plain object');
  }
  const stored: Stored = {};
  let last = -1;
  for (const key of inOrder(value, fields, name)) {
    const item = value[key];
    if (item === undefined) continue;
    const field = fields.get(key)!;
    if (field.stored in stored) {
      throw wrongType(`${name}.${key}`, 'given as a value or as text, not both');
    }
    stored[field.stored] = storeField(item, field, name, stored, content);
    last = field.place;
  }
  return last < 0 ? undefined : stored;
}

/** The names of a section's members in the record's order; callers mostly have them in that order already. */
function inOrder(value: object, fields: ReadonlyMap<string, Placed>, name: string): string[] {
  const keys = Object.keys(value);
  let last = -1;
  let ordered = true;
  for (const key of keys) {
    const field = fields.get(key);
    if (field === undefined) throw unknownMember(key, `${name}.`);
    if (field.place < last) ordered = false;
    last = field.place;
  }
  return ordered ? keys : keys.sort((a, b) => fields.get(a)!.place - fields.get(b)!.place);
}

function storeField(
  item: unknown,
  field: Field,
  section: string,
  stored: Stored,
  content: ContentMember[],
): unknown {
  const member = `${section}.${field.name}`;
  switch (field.kind) {
    case 'text':
      return checkedText(item, member);
    case 'content':
      return storeContent(checkedText(item, member), field, section, stored, content);
    case 'json':
      return storeContent(encodeJson(item, member), field, section, stored, content);
    case 'flag':
      if (typeof item !== 'boolean') throw wrongType(member, 'true or false');
      return item;
    case 'integer':
      if (typeof item !== 'number') throw wrongType(member, 'an integer');
      checkNumber(item, member);
      if (!Number.isInteger(item)) throw wrongType(member, 'an integer');
      return item;
    case 'number':
      if (typeof item !== 'number') throw wrongType(member, 'a number');
      checkNumber(item, member);
      return item;
    case 'texts':
      if (!Array.isArray(item)) throw wrongType(member, 'an array of strings');
      return Array.from(item, (text, i) => checkedText(text, `${member}[${i}]`));
    case 'risk':
      if (typeof item !== 'string' || !riskNames.has(item)) {
        throw wrongType(member, 'low, medium, high or critical');
      }
      return item;
    case 'phase':
      if (item !== 'intent' && item !== 'outcome') throw wrongType(member, 'intent or outcome');
      return item;
    case 'hex':
      if (typeof item !== 'string' || item.length !== field.digits || !/^[0-9a-f]+$/.test(item)) {
        throw wrongType(member, `${field.digits} lower-case hex digits`);
      }
      return item;
  }
}

/** Text that may become a commitment when the line is too long. */
function storeContent(
  text: string,
  field: Field,
  section: string,
  stored: Stored,
  content: ContentMember[],
): string {
  const member = `${section}.${field.name}`;
  if (text.length > contentBytesMax) {
    throw new AuditError('too_large', `${member} is larger than ${contentBytesMax} bytes`, {
      member,
    });
  }
  const name = `${section}.${field.stored}`;
  content.push({ name, section: stored, stored: field.stored, content: text });
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
  checkText(item, member);
  return item;
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

const timePattern = /^(\d{4})-(\d\d)-(\d\d)[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

function encodeTimestamp(value: unknown): string {
  if (value === undefined) return formatTime(Date.now());
  const ms =
    value instanceof Date
      ? Date.prototype.getTime.call(value)
      : typeof value === 'string'
        ? parseTime(value)
        : Number.NaN;
  const text = Number.isFinite(ms) ? new Date(ms).toISOString() : '';
  if (text.length !== 24) {
    throw wrongType('timestamp', 'a Date or an RFC 3339 string of the years 0 to 9999');
  }
  return text;
}

function parseTime(text: string): number {
  const match = timePattern.exec(text);
  if (!match) return Number.NaN;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // Date.parse takes a 30th of February for a day of March.
  const days = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  return day > days ? Number.NaN : Date.parse(text.toUpperCase());
}
