import { type JsonMember, scanObject } from '@gatebook/audit';

/** The members of a JSON object by name, with the buffer their spans lie in. */
export interface Members {
  readonly buffer: Buffer;
  readonly byName: ReadonlyMap<string, JsonMember>;
}

export function indexMembers(buffer: Buffer, members: readonly JsonMember[]): Members {
  return { buffer, byName: new Map(members.map((member) => [member.name, member])) };
}

/** The members of an object that is a value in `parent`, or undefined when there is no such object. */
export function innerMembers(parent: Members | undefined, name: string): Members | undefined {
  const member = parent?.byName.get(name);
  if (parent === undefined || member?.kind !== 'object') return undefined;
  const scan = scanObject(parent.buffer, member.start, member.end);
  return 'fault' in scan ? undefined : indexMembers(parent.buffer, scan.members);
}

/** A value's JSON text as it stood on the wire. */
export function rawText(members: Members, name: string): string | undefined {
  const member = members.byName.get(name);
  return member && members.buffer.toString('utf8', member.start, member.end);
}

/** A string value, unescaped, or undefined when there is none. */
export function stringValue(members: Members | undefined, name: string): string | undefined {
  const member = members?.byName.get(name);
  if (members === undefined || member?.kind !== 'string') return undefined;
  const value: unknown = JSON.parse(members.buffer.toString('utf8', member.start, member.end));
  return typeof value === 'string' ? value : undefined;
}
