import { isUtf8 } from 'node:buffer';
import { type JsonMember, scanObject } from '@gatebook/audit';
import { idBytesMax, nameBytesMax } from './bounds.js';
import { indexMembers, type Members, stringValue } from './json-member.js';
import { guard, mistakenFor, readsTheSame } from './member-name.js';

/** A JSON-RPC id. */
export interface RequestId {
  /** Ids with equal keys cannot be told apart by every peer: 1 and "1" have the same. */
  readonly key: string;
  /** The JSON text, for echoing. */
  readonly text: string;
}

export interface Refusal {
  readonly kind: 'refused';
  /** -32700 where the line is not JSON, -32600 where it is not one plain JSON-RPC message. */
  readonly code: -32700 | -32600;
  readonly reason: string;
  /** Set only when it is certain that a request with this id waits for an answer. */
  readonly id?: RequestId;
}

export type ClientMessage =
  | {
      readonly kind: 'request';
      readonly method: string;
      readonly id: RequestId;
      readonly params?: Members;
    }
  | { readonly kind: 'notification'; readonly method: string; readonly params?: Members }
  /** Without an id where it is `null`. */
  | { readonly kind: 'response'; readonly id?: RequestId; readonly top: Members };

export type ClientLine = { readonly kind: 'blank' } | Refusal | ClientMessage;

type Subject = 'name' | 'uri' | 'taskId';

/** The methods whose calls are recorded, each with the member of params that says what is called. */
export const recordedMethods: ReadonlyMap<string, Subject> = new Map<string, Subject>([
  ['tools/call', 'name'],
  ['resources/read', 'uri'],
  ['prompts/get', 'name'],
  ['tasks/result', 'taskId'],
]);

const cancelled = 'notifications/cancelled';
const topGuard = guard(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);
const envelopeGuard = guard(['name', 'arguments']);
const callGuard = guard(['name', 'arguments', 'uri', 'taskId', 'requestState', 'inputResponses']);
const cancelGuard = guard(['requestId']);
const methodGuard = guard([...recordedMethods.keys(), cancelled]);
const spaces = /^[ \t\r\n]*$/;

/**
 * Decides whether a line from the client (with its newline) is exactly one JSON-RPC message in the way every parser
 * would read it, and what it says. Whatever is not is refused, so that nothing can reach the server which the log
 * has read differently.
 */
export function readClientLine(line: Buffer): ClientLine {
  const end = contentEnd(line);
  if (!isUtf8(line)) return refuse(-32700, 'the line is not valid UTF-8');
  if (end < 64 && spaces.test(line.toString('utf8', 0, end))) return { kind: 'blank' };
  const cr = line.indexOf(0x0d);
  if (cr >= 0 && cr < end) {
    return refuse(
      -32600,
      `a carriage return at byte ${cr}, which some parsers take for a line end`,
    );
  }
  if (firstByte(line, end) === 0x5b) return refuse(-32600, 'batches are not relayed');
  const scan = scanObject(line, 0, end);
  if ('fault' in scan) {
    return refuse(
      scan.fault.doubled ? -32600 : -32700,
      `${scan.fault.reason} at byte ${scan.fault.at}`,
    );
  }
  return readEnvelope(line, scan.members);
}

/** Where the content ends: before the newline, and before one carriage return that belongs to the line end. */
export function contentEnd(line: Buffer): number {
  let end = line.length;
  if (end > 0 && line[end - 1] === 0x0a) end--;
  if (end > 0 && line[end - 1] === 0x0d) end--;
  return end;
}

function firstByte(line: Buffer, end: number): number | undefined {
  for (let i = 0; i < end; i++) if (line[i] !== 0x20 && line[i] !== 0x09) return line[i];
  return undefined;
}

function refuse(code: -32700 | -32600, reason: string, id?: RequestId): Refusal {
  return id === undefined
    ? { kind: 'refused', code, reason }
    : { kind: 'refused', code, reason, id };
}

function readEnvelope(line: Buffer, members: readonly JsonMember[]): ClientLine {
  const variant = variantIn(members, topGuard);
  if (variant !== undefined) return refuse(-32600, variant);
  const top = indexMembers(line, members);
  if (stringValue(top, 'jsonrpc') !== '2.0') return refuse(-32600, '"jsonrpc" is not "2.0"');
  const answers = top.byName.has('result') ? 1 : 0;
  const errors = top.byName.has('error') ? 1 : 0;
  const id = top.byName.has('id') ? readId(top) : undefined;
  if (!top.byName.has('method')) {
    if (answers + errors !== 1)
      return refuse(-32600, 'neither a request, a notification nor a response');
    const nullId = top.byName.get('id')?.kind === 'null' && errors === 1;
    if (typeof id !== 'object' && !nullId) return refuse(-32600, id ?? 'a response without "id"');
    return typeof id === 'object' ? { kind: 'response', id, top } : { kind: 'response', top };
  }
  if (answers + errors > 0) return refuse(-32600, 'a request and a response in one message');
  if (typeof id === 'string') return refuse(-32600, id);
  return readRequest(top, id);
}

/** The id, or why it is none that every peer would keep apart from others. */
function readId(top: Members): RequestId | string {
  const member = top.byName.get('id')!;
  const text = top.buffer.toString('utf8', member.start, member.end);
  if (member.kind === 'number') {
    if (!/^(0|-?[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(Number(text))) {
      return '"id" is a number other than a plain integer within 2^53-1';
    }
    return { key: text, text };
  }
  if (member.kind !== 'string') return `"id" is ${member.kind}; it must be a string or an integer`;
  const key = stringValue(top, 'id') ?? '';
  if (!readsTheSame(key)) return '"id" holds a lone surrogate or NUL';
  if (Buffer.byteLength(key) > idBytesMax) return `"id" is longer than ${idBytesMax} bytes`;
  return { key, text: JSON.stringify(key) };
}

function readRequest(top: Members, id: RequestId | undefined): ClientLine {
  const method = stringValue(top, 'method');
  if (method === undefined) return refuse(-32600, '"method" is not a string', id);
  if (!readsTheSame(method)) return refuse(-32600, '"method" holds a lone surrogate or NUL', id);
  if (Buffer.byteLength(method) > nameBytesMax) {
    return refuse(-32600, `"method" is longer than ${nameBytesMax} bytes`, id);
  }
  const meant = mistakenFor(method, methodGuard);
  if (meant !== undefined) {
    return refuse(-32600, `method ${JSON.stringify(method)} could be taken for ${meant}`, id);
  }
  const kind = top.byName.get('params')?.kind;
  if (kind !== undefined && kind !== 'object' && kind !== 'array' && kind !== 'null') {
    return refuse(-32600, `"params" is a ${kind}; it must be an object`, id);
  }
  const subject = recordedMethods.get(method);
  if (subject !== undefined) return readCall(top, method, subject, id);
  const params = readParams(top, method === cancelled ? cancelGuard : envelopeGuard);
  if (typeof params === 'string') return refuse(-32600, params, id);
  const more = params === undefined ? {} : { params };
  if (id === undefined) return { kind: 'notification', method, ...more };
  return { kind: 'request', method, id, ...more };
}

function readCall(
  top: Members,
  method: string,
  subject: Subject,
  id: RequestId | undefined,
): ClientLine {
  if (id === undefined) {
    return refuse(-32600, `${method} without "id": no answer could ever be recorded`);
  }
  const params = readParams(top, callGuard);
  if (typeof params === 'string') return refuse(-32600, params, id);
  if (params === undefined) return refuse(-32600, `the params of ${method} are not an object`, id);
  const called = stringValue(params, subject);
  if (called === undefined) {
    return refuse(-32600, `params.${subject} of ${method} is not a string`, id);
  }
  if (!readsTheSame(called)) {
    return refuse(-32600, `params.${subject} holds a lone surrogate or NUL`, id);
  }
  if (subject !== 'uri' && Buffer.byteLength(called) > nameBytesMax) {
    return refuse(-32600, `params.${subject} is longer than ${nameBytesMax} bytes`, id);
  }
  return { kind: 'request', method, id, params };
}

/** The members of params when it is an object, or which of them could be taken for another. */
function readParams(
  top: Members,
  guarded: ReadonlyMap<string, string>,
): Members | string | undefined {
  const member = top.byName.get('params');
  if (member?.kind !== 'object') return undefined;
  const scan = scanObject(top.buffer, member.start, member.end);
  if ('fault' in scan) return scan.fault.reason;
  return variantIn(scan.members, guarded) ?? indexMembers(top.buffer, scan.members);
}

function variantIn(
  members: readonly JsonMember[],
  guarded: ReadonlyMap<string, string>,
): string | undefined {
  for (const { name } of members) {
    const meant = mistakenFor(name, guarded);
    if (meant !== undefined) {
      return `member ${JSON.stringify(name.slice(0, 100))} could be taken for "${meant}"`;
    }
  }
  return undefined;
}
