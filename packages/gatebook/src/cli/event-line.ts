import { isUtf8 } from 'node:buffer';
import {
  AuditError,
  type AuditErrorCode,
  type AuditEvent,
  callerNames,
  memberName,
  scanJson,
} from '@gatebook/audit';

/** Members of a record that only the log can give. */
const givenByLog: ReadonlySet<string> = new Set(['seq', 'epoch', 'prev_hash', 'hash']);

/**
 * One line of JSON, with the member names of a record, as the event it stands for. Throws an AuditError that names the
 * member for what the log would have to guess at: doubled or unknown members, text that is not UTF-8. What a value may
 * be is left to `append`, which refuses unsafe integers, lone surrogates and `__proto__` at any depth.
 */
export function parseEventLine(input: Buffer): AuditEvent {
  // Programs that end their lines in CR LF mean the same line.
  const line = input.at(-1) === 0x0d ? input.subarray(0, -1) : input;
  if (!isUtf8(line)) throw new AuditError('not_json', 'the line is not valid UTF-8');
  const fault = scanJson(line, 0, line.length);
  if (fault !== undefined) {
    if (fault.doubled) throw doubled(line, fault.at, fault.reason);
    throw new AuditError('not_json', `the line is not JSON: ${fault.reason} at byte ${fault.at}`);
  }
  const value: unknown = JSON.parse(line.toString('utf8'));
  if (!isObject(value)) {
    throw new AuditError('wrong_type', 'the line is JSON, but not an object with an event_type');
  }
  return renamed(value, '') as unknown as AuditEvent;
}

function doubled(line: Buffer, at: number, reason: string): AuditError {
  // The scan stopped at a name it had read whole, so its closing quote is there.
  let end = at;
  while (end < line.length && line[end] !== 0x22) end += line[end] === 0x5c ? 2 : 1;
  return new AuditError(
    'not_json',
    `${reason}, at byte ${at}; readers disagree about which one counts`,
    {
      member: memberName(line, at, end),
    },
  );
}

type Members = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Gives the members of the event (`stored` is empty) or of one of its sections the names the library calls them. */
function renamed(value: Members, stored: string): Members {
  const known = callerNames.get(stored)!;
  const prefix = stored === '' ? '' : `${stored}.`;
  // Only known names are ever assigned, so none of them can be one that sets the prototype.
  const event: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const camel = known.get(name);
    if (camel === undefined) throw unknownMember(`${prefix}${name}`, name, prefix === '');
    const item = value[name];
    const inner = stored === '' && callerNames.has(name) && isObject(item);
    event[camel] = inner ? renamed(item, name) : item;
  }
  return event;
}

function unknownMember(member: string, name: string, top: boolean): AuditError {
  const shown = member.slice(0, 120);
  if (name === '__proto__') {
    return new AuditError('prototype_key', `${shown} is not a member of an event`, { member });
  }
  const why =
    top && givenByLog.has(name)
      ? 'is given by the log itself; leave it out'
      : 'is not a member of an event; put your own facts into details';
  return new AuditError('unknown_member', `${shown} ${why}`, { member });
}

const storedNames: ReadonlyMap<string, string> = new Map(
  [...callerNames.values()].flatMap((known) =>
    [...known].map(([stored, camel]): [string, string] => [camel, stored]),
  ),
);

/** A member's path as the line spells it: `action.riskLevel` → `action.risk_level`. */
export function storedPath(member: string): string {
  const [top = '', second, ...rest] = member.split('.');
  const stored = storedNames.get(top) ?? top;
  if (second === undefined) return stored;
  // Only the sections' own members were renamed; below details or arguments the names are the caller's.
  const inSection = callerNames.has(stored);
  return [stored, inSection ? renamedSecond(second) : second, ...rest].join('.');
}

function renamedSecond(name: string): string {
  const [, bare = name, index = ''] = /^([A-Za-z]+)(.*)$/.exec(name) ?? [];
  return (storedNames.get(bare) ?? bare) + index;
}

/** An error of `append` in the names of the line: the log knows an event's members only as the library calls them. */
export function inStoredNames(error: unknown): unknown {
  if (!(error instanceof AuditError) || error.member === undefined) return error;
  const member = storedPath(error.member);
  const message = error.message.replaceAll(error.member, member);
  return new AuditError(error.code, message, { member, cause: error });
}

export interface Refusal {
  readonly code: AuditErrorCode | 'failed';
  readonly message: string;
  readonly member?: string;
}

/** What is said about a line that was kept out of the log. */
export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof AuditError)) {
    return { code: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, member } = error;
  return member === undefined ? { code, message } : { code, message, member };
}
