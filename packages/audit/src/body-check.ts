import { AuditError } from './errors.js';
import { isEventType } from './event.js';
import { type Field, riskNames, sections } from './fields.js';
import { valueDepthMax } from './json-text.js';
import { bodyBytesMax } from './record.js';

/**
 * Bodies that come from other processes. Whoever connects could send anything, so a body is taken only when it is, byte
 * for byte, what `encodeEvent` could have made (docs/format.md §2): canonical JSON (what JSON.stringify makes of what
 * JSON.parse reads, so nothing is doubled, escaped or spaced otherwise), members known, in order and of their types.
 */

const order = ['timestamp', 'event_id', 'event_type', 'emitter', ...sections.map((s) => s.stored)];
const requiredCount = 4;
const placeOf: ReadonlyMap<string, number> = new Map(order.map((name, place) => [name, place]));
interface Stored {
  readonly field: Field;
  readonly place: number;
}

/** By stored names; where two fields of the caller share one, either will do. */
const storedFields: ReadonlyMap<string, ReadonlyMap<string, Stored>> = new Map(
  sections.map((section) => {
    const fields = section.kind === 'fields' ? section.fields : [];
    return [
      section.stored,
      new Map(fields.map((field, place) => [field.stored, { field, place }])),
    ];
  }),
);

const timestampPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const eventIdPattern = /^evt_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const refPattern = /^cnt_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const sha256Pattern = /^[0-9a-f]{64}$/;
/** How JSON.stringify writes a surrogate that has no partner. */
const loneSurrogate = /(?<!\\)(?:\\\\)*\\ud[89a-f]/;

type Members = Record<string, unknown>;

/**
 * Checks a body, valid UTF-8 without newlines. With `emitter` given it must be that one. Throws an AuditError naming the
 * member.
 */
export function checkBody(text: string, bytes: number, emitter: string | undefined): void {
  if (bytes > bodyBytesMax) {
    throw new AuditError('too_large', `the record would be larger than a line may be`);
  }
  const body = parseCanonical(`{${text}}`);
  if (loneSurrogate.test(text)) {
    throw new AuditError('lone_surrogate', 'the record holds a lone surrogate');
  }
  checkTop(body);
  if (emitter !== undefined && body['emitter'] !== emitter) {
    throw new AuditError(
      'wrong_type',
      `the emitter is ${JSON.stringify(emitter)}, which the token proves; leave emitter out`,
      { member: 'emitter' },
    );
  }
  for (const section of sections) {
    const value = body[section.stored];
    if (value === undefined) continue;
    if (section.kind === 'text') checkTextMember(value, section.stored);
    else if (section.kind === 'fields') checkSection(value, section.stored);
    else checkDetails(value, section.stored);
  }
}

function parseCanonical(text: string): Members {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new AuditError('not_json', 'the record is not JSON', { cause: error });
  }
  if (typeof body !== 'object' || body === null || JSON.stringify(body) !== text) {
    throw new AuditError('not_json', 'the record is not in the one form a record has');
  }
  return body as Members;
}

function checkTop(body: Members): void {
  let last = -1;
  let required = 0;
  for (const name of Object.keys(body)) {
    const place = placeOf.get(name) ?? -1;
    if (place <= last) throw unknownMember(name);
    if (place < requiredCount) required++;
    last = place;
  }
  if (required < requiredCount) {
    throw new AuditError(
      'missing_member',
      'timestamp, event_id, event_type and emitter must be there',
    );
  }
  const { timestamp, event_id: id, event_type: type, emitter } = body;
  if (!isTimestamp(timestamp)) throw wrongType('timestamp');
  if (typeof id !== 'string' || !eventIdPattern.test(id)) throw wrongType('event_id');
  if (typeof type !== 'string' || !isEventType(type)) {
    throw new AuditError('unknown_type', 'the event type is none that a caller may use', {
      member: 'event_type',
    });
  }
  if (typeof emitter !== 'string' || emitter === 'log') throw wrongType('emitter');
}

// Many events share a millisecond; checking it once is enough.
let lastTimestamp = '';

function isTimestamp(value: unknown): boolean {
  if (value === lastTimestamp) return true;
  if (typeof value !== 'string' || !timestampPattern.test(value)) return false;
  const ms = Date.parse(value);
  if (!Number.isFinite(ms) || new Date(ms).toISOString() !== value) return false;
  lastTimestamp = value;
  return true;
}

function checkSection(value: unknown, section: string): void {
  const members = plainObject(value, section);
  const fields = storedFields.get(section)!;
  let last = -1;
  for (const [name, item] of Object.entries(members)) {
    const stored = fields.get(name);
    if (stored === undefined || stored.place <= last) throw unknownMember(`${section}.${name}`);
    if (!isOfKind(item, stored.field)) throw wrongType(`${section}.${name}`);
    last = stored.place;
  }
  if (last < 0) throw wrongType(section);
}

function isOfKind(item: unknown, field: Field): boolean {
  switch (field.kind) {
    case 'text':
      return typeof item === 'string';
    case 'content':
    case 'json':
      return typeof item === 'string' || isCommitment(item);
    case 'flag':
      return typeof item === 'boolean';
    case 'integer':
      return Number.isSafeInteger(item);
    case 'number':
      return typeof item === 'number' && isSafeNumber(item);
    case 'texts':
      return Array.isArray(item) && item.every((text) => typeof text === 'string');
    case 'risk':
      return typeof item === 'string' && riskNames.has(item);
    case 'phase':
      return item === 'intent' || item === 'outcome';
    case 'hex':
      return typeof item === 'string' && item.length === field.digits && /^[0-9a-f]+$/.test(item);
  }
}

function isCommitment(item: unknown): boolean {
  if (typeof item !== 'object' || item === null) return false;
  const { preview, sha256, bytes, ref } = item as Members;
  const names = Object.keys(item).join();
  return (
    (names === 'preview,sha256,bytes,ref' || names === 'sha256,bytes,ref') &&
    (preview === undefined || typeof preview === 'string') &&
    typeof sha256 === 'string' &&
    sha256Pattern.test(sha256) &&
    Number.isSafeInteger(bytes) &&
    Number(bytes) >= 0 &&
    typeof ref === 'string' &&
    refPattern.test(ref)
  );
}

function checkDetails(value: unknown, member: string): void {
  checkValue(plainObject(value, member), member, 0);
}

/** What `encodeJson` refuses must not come in this way either. */
function checkValue(value: unknown, member: string, depth: number): void {
  if (typeof value === 'number' && !isSafeNumber(value)) {
    throw new AuditError('unsafe_integer', `${member} holds an integer beyond 2^53-1`, { member });
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth >= valueDepthMax) {
    throw new AuditError('too_deep', `${member} is nested deeper than ${valueDepthMax}`, {
      member,
    });
  }
  if (Array.isArray(value)) {
    for (const item of value) checkValue(item, member, depth + 1);
    return;
  }
  for (const name of Object.keys(value)) {
    if (name === '__proto__') {
      throw new AuditError('prototype_key', `${member} has a member called __proto__`, { member });
    }
    checkValue((value as Members)[name], member, depth + 1);
  }
}

function isSafeNumber(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

function plainObject(value: unknown, member: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw wrongType(member);
}

function checkTextMember(value: unknown, member: string): void {
  if (typeof value !== 'string') throw wrongType(member);
}

function unknownMember(name: string): AuditError {
  const member = name.slice(0, 80);
  return new AuditError('unknown_member', `${member} is unknown or out of order`, { member });
}

function wrongType(member: string): AuditError {
  return new AuditError('wrong_type', `${member} is not of its type`, { member });
}
