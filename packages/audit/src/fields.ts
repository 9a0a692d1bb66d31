import { riskLevels } from './event.js';

/** How a member is checked and encoded. */
export type FieldKind =
  | 'text'
  | 'content'
  | 'json'
  | 'flag'
  | 'integer'
  | 'number'
  | 'texts'
  | 'risk'
  | 'phase'
  | 'hex';

export interface Field {
  /** The caller's name, camelCase. */
  readonly name: string;
  /** The name in the record, snake_case. */
  readonly stored: string;
  readonly kind: FieldKind;
  readonly digits?: number;
}

const field = (name: string, stored: string, kind: FieldKind, digits?: number): Field =>
  digits === undefined ? { name, stored, kind } : { name, stored, kind, digits };

const actor = [
  field('channel', 'channel', 'text'),
  field('userId', 'user_id', 'text'),
  field('username', 'username', 'text'),
  field('agent', 'agent', 'text'),
  field('ip', 'ip', 'text'),
];

const action = [
  field('phase', 'phase', 'phase'),
  field('tool', 'tool', 'text'),
  field('command', 'command', 'content'),
  field('resource', 'resource', 'text'),
  field('arguments', 'arguments', 'json'),
  field('argumentsText', 'arguments', 'content'),
  field('riskLevel', 'risk_level', 'risk'),
  field('approved', 'approved', 'flag'),
  field('allowed', 'allowed', 'flag'),
  field('continues', 'continues', 'text'),
];

const result = [
  field('success', 'success', 'flag'),
  field('status', 'status', 'text'),
  field('exitCode', 'exit_code', 'integer'),
  field('signal', 'signal', 'text'),
  field('durationMs', 'duration_ms', 'number'),
  field('error', 'error', 'content'),
  field('output', 'output', 'json'),
  field('outputText', 'output', 'content'),
];

const security = [
  field('policyViolation', 'policy_violation', 'flag'),
  field('rule', 'rule', 'text'),
  field('reason', 'reason', 'text'),
  field('rateLimitRemaining', 'rate_limit_remaining', 'number'),
  field('sandbox', 'sandbox', 'text'),
  field('notEnforced', 'not_enforced', 'texts'),
];

const trace = [field('traceId', 'trace_id', 'hex', 32), field('spanId', 'span_id', 'hex', 16)];

export interface Placed extends Field {
  /** The caller's path of the member, `action.tool`, and the record's, `action.arguments`. */
  readonly member: string;
  readonly storedMember: string;
  /** `"tool":`, as it stands before the value of a first member, and `,"tool":` for a later one. */
  readonly opening: string;
  readonly laterOpening: string;
}

interface Named {
  readonly name:
    | 'actor'
    | 'sessionId'
    | 'callId'
    | 'source'
    | 'action'
    | 'result'
    | 'security'
    | 'details'
    | 'trace';
  readonly stored: string;
  /** `,"actor":` */
  readonly opening: string;
}

export interface TextSection extends Named {
  readonly kind: 'text' | 'details';
}

export interface FieldSection extends Named {
  readonly kind: 'fields';
  /** In the order of the record, and where each name stands among them. */
  readonly fields: readonly Placed[];
  readonly places: ReadonlyMap<string, number>;
}

export type Section = TextSection | FieldSection;

function section(
  name: Section['name'],
  stored: string,
  shape: 'text' | 'details' | readonly Field[],
): Section {
  const opening = `,"${stored}":`;
  if (shape === 'text' || shape === 'details') return { name, stored, opening, kind: shape };
  const fields = shape.map((item) => ({
    ...item,
    member: `${name}.${item.name}`,
    storedMember: `${name}.${item.stored}`,
    opening: `"${item.stored}":`,
    laterOpening: `,"${item.stored}":`,
  }));
  const places = new Map(fields.map((item, place) => [item.name, place]));
  return { name, stored, opening, kind: 'fields', fields, places };
}

/** The members between `emitter` and `epoch`, in the order of the record. */
export const sections: readonly Section[] = [
  section('actor', 'actor', actor),
  section('sessionId', 'session_id', 'text'),
  section('callId', 'call_id', 'text'),
  section('source', 'source', 'text'),
  section('action', 'action', action),
  section('result', 'result', result),
  section('security', 'security', security),
  section('details', 'details', 'details'),
  section('trace', 'trace', trace),
];

/** What may stand at the top of an event, in the order of the record. */
export const eventNames = [
  'timestamp',
  'eventId',
  'eventType',
  'emitter',
  ...sections.map((item) => item.name),
] as const;

export const eventPlaces: ReadonlyMap<string, number> = new Map(
  eventNames.map((name, place) => [name, place]),
);

/**
 * The caller's name of every member, by its name in the record: the event's own under `''`, a section's under the section's stored
 * name.
 */
export const callerNames: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  [
    '',
    new Map([
      ['timestamp', 'timestamp'],
      ['event_id', 'eventId'],
      ['event_type', 'eventType'],
      ['emitter', 'emitter'],
      ...sections.map(({ stored, name }) => [stored, name] as const),
    ]),
  ],
  ...sections.flatMap((item) =>
    item.kind === 'fields' ? [[item.stored, namesByStored(item.fields)] as const] : [],
  ),
]);

/** Of two members with one stored name the first is the one that takes a value. */
function namesByStored(fields: readonly Placed[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const { stored, name } of fields) if (!names.has(stored)) names.set(stored, name);
  return names;
}

export const riskNames: ReadonlySet<string> = new Set(riskLevels);
