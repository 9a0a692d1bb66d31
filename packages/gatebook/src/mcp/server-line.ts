import { isUtf8 } from 'node:buffer';
import { scanObject } from '@gatebook/audit';
import { errorCharsMax } from './bounds.js';
import { indexMembers, innerMembers, type Members, rawText, stringValue } from './json-member.js';
import { guard, laxName } from './member-name.js';

/** A JSON-RPC response found in what the server wrote. */
export interface Answer {
  /** Which requests' keys it may answer, the likeliest first: clients turn "7" and 7.0 into 7. */
  readonly keys: readonly string[];
  readonly top: Members;
  /** Why the line is not one plain response, where it is not: other parsers may have read something else. */
  readonly fault?: string;
}

/** What an answer says about a call. */
export interface AnswerFacts {
  readonly status: 'ok' | 'error' | 'input_required' | 'task';
  readonly success: boolean;
  readonly error?: string;
  readonly errorCode?: string;
  /** The raw JSON text of `result` or `error`; absent when the line was too long to keep. */
  readonly outputText?: string;
  readonly lineBytes: number;
  readonly requestState?: string;
  /** The names of what the server asked for, sorted and joined. */
  readonly inputKeys?: string;
  /** The task that goes on with the call (2025-11-25), whose result is asked for by `tasks/result`. */
  readonly taskId?: string;
  readonly serverName?: string;
  readonly protocolVersion?: string;
  readonly fault?: string;
}

/** What a line from the server holds. */
export interface ServerLine {
  readonly answers: readonly Answer[];
  /** The ids of requests, as JSON text. */
  readonly requests: readonly string[];
  /** Whether it is one request or notification to every client. */
  readonly plain: boolean;
}

/**
 * Finds the responses and requests in a line from the server. Hardly anything is refused in this direction, so a line that only a lenient
 * parser understands is read leniently too, and the answer says so.
 */
export function readServerLine(line: Buffer): ServerLine {
  const messages = messagesIn(line);
  return {
    answers: messages.filter(({ top }) => top.byName.has('result') || top.byName.has('error')),
    requests: messages.flatMap(({ top }) =>
      top.byName.has('method') ? (rawText(top, 'id') ?? []) : [],
    ),
    plain: messages.length === 1 && messages.every((message) => isPlain(message)),
  };
}

const resultGuard = guard(['result']);

function isPlain({ top, fault }: Answer): boolean {
  if (fault !== undefined || !top.byName.has('method')) return false;
  return ![...top.byName.keys()].some((name) => resultGuard.has(laxName(name)));
}

function messagesIn(line: Buffer): Answer[] {
  const scan = scanObject(line, 0, contentEnd(line));
  const unreadable = isUtf8(line) ? undefined : 'not valid UTF-8';
  if ('fault' in scan) return lenient(line, scan.fault.reason);
  const top = indexMembers(line, scan.members);
  const message = { keys: answerKeys(top), top };
  return [unreadable === undefined ? message : { ...message, fault: unreadable }];
}

/** Where the content of a line ends: before its newline and carriage returns. */
function contentEnd(line: Buffer): number {
  let end = line.length;
  while (end > 0 && (line[end - 1] === 0x0a || line[end - 1] === 0x0d)) end--;
  return end;
}

/** What some readers take for a line end and others do not. */
const otherLineEnds = /[\r\v\f\u0085\u2028\u2029]/;
const piecesMax = 1000;

function lenient(line: Buffer, fault: string): Answer[] {
  const text = line.toString('utf8');
  const whole = parsed(text);
  const values =
    whole.length > 0
      ? whole
      : text.split(otherLineEnds, piecesMax).flatMap((piece) => parsed(piece));
  const answers: Answer[] = [];
  for (const item of values.flat()) {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) continue;
    const again = Buffer.from(textOf(item));
    const scan = scanObject(again, 0, again.length);
    if ('fault' in scan) continue;
    const top = indexMembers(again, scan.members);
    answers.push({ keys: answerKeys(top), top, fault });
  }
  return answers;
}

/** What in the two upper levels of a message is nested so deeply that it cannot be written down is replaced. */
function textOf(value: object, level = 0): string {
  try {
    return JSON.stringify(value);
  } catch {
    if (level > 1 || Array.isArray(value)) return '"[nested too deeply]"';
    const members = Object.entries(value as Readonly<Record<string, unknown>>).map(
      ([name, inner]) => {
        const text =
          typeof inner === 'object' && inner !== null
            ? textOf(inner, level + 1)
            : JSON.stringify(inner);
        return `${JSON.stringify(name)}:${text}`;
      },
    );
    return `{${members.join(',')}}`;
  }
}

/** The value as the only item, or nothing where the text is no JSON. */
function parsed(text: string): unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}

function answerKeys(top: Members): string[] {
  const kind = top.byName.get('id')?.kind;
  if (kind === 'string') return keysOf(stringValue(top, 'id') ?? '');
  if (kind === 'number') return keysOf(rawText(top, 'id') ?? '');
  return [];
}

/** The keys an id's text may stand for: itself, and the number a client may make of it. */
export function keysOf(id: string): string[] {
  const number = id.trim() === '' ? Number.NaN : Number(id);
  const asNumber = String(number === 0 ? 0 : number);
  return Number.isSafeInteger(number) && asNumber !== id ? [id, asNumber] : [id];
}

/** Reads what an answer says; only done for answers that belong to a call that is being watched. */
export function readFacts(answer: Answer): AnswerFacts {
  const { top } = answer;
  const common = {
    lineBytes: top.buffer.length,
    ...(answer.fault === undefined ? {} : { fault: answer.fault }),
  };
  // A message with both is an error to some clients and a result to others; the error is what must not be missed.
  if (top.byName.has('error')) return { ...common, ...errorFacts(top) };
  const outputText = rawText(top, 'result') ?? 'null';
  const result = innerMembers(top, 'result');
  return { ...common, outputText, ...resultFacts(result) };
}

function errorFacts(top: Members): Omit<AnswerFacts, 'lineBytes'> {
  const outputText = rawText(top, 'error') ?? 'null';
  const error = innerMembers(top, 'error');
  const code = error === undefined ? undefined : rawText(error, 'code');
  const errorCode = code === undefined ? undefined : wellFormed(code, 40);
  const message = wellFormed(stringValue(error, 'message') ?? '', errorCharsMax);
  return {
    status: 'error',
    success: false,
    error: `${errorCode ?? 'error'}: ${message}`,
    outputText,
    ...(errorCode === undefined ? {} : { errorCode }),
  };
}

function resultFacts(result: Members | undefined): Omit<AnswerFacts, 'lineBytes'> {
  if (result === undefined) return { status: 'ok', success: true };
  const serverName = serverNameIn(result);
  const protocolVersion = stringValue(result, 'protocolVersion');
  const named = {
    ...(serverName === undefined ? {} : { serverName }),
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
  };
  if (stringValue(result, 'resultType') === 'input_required') {
    return { ...named, ...inputRequired(result) };
  }
  const taskId = stringValue(innerMembers(result, 'task'), 'taskId');
  if (taskId !== undefined && !result.byName.has('content')) {
    return { ...named, status: 'task', success: true, taskId };
  }
  if (rawText(result, 'isError') !== 'true') return { ...named, status: 'ok', success: true };
  const error = firstText(result);
  return {
    ...named,
    status: 'error',
    success: false,
    error: error ?? 'the tool reported an error',
  };
}

/** The call has not failed and is not done either, so `success` says only that nothing went wrong so far. */
function inputRequired(result: Members): Omit<AnswerFacts, 'lineBytes'> {
  const requestState = stringValue(result, 'requestState');
  const inputs = innerMembers(result, 'inputRequests');
  return {
    status: 'input_required',
    success: true,
    ...(requestState === undefined ? {} : { requestState }),
    ...(inputs === undefined ? {} : { inputKeys: joinKeys(inputs) }),
  };
}

/** Names as one text in which no two different sets look alike. */
export function joinKeys(members: Members): string {
  return JSON.stringify([...members.byName.keys()].sort());
}

function serverNameIn(result: Members): string | undefined {
  const own = stringValue(innerMembers(result, 'serverInfo'), 'name');
  if (own !== undefined) return own;
  const meta = innerMembers(result, '_meta');
  return stringValue(innerMembers(meta, 'io.modelcontextprotocol/serverInfo'), 'name');
}

/** The first text block of a tool's content: what the model is shown as the error. */
function firstText(result: Members): string | undefined {
  if (result.byName.get('content')?.kind !== 'array') return undefined;
  const content: unknown = JSON.parse(rawText(result, 'content') ?? '[]');
  if (!Array.isArray(content)) return undefined;
  for (const block of content as readonly unknown[]) {
    if (typeof block !== 'object' || block === null || !('text' in block)) continue;
    if (typeof block.text === 'string') return wellFormed(block.text, errorCharsMax);
  }
  return undefined;
}

/** At most `charsMax` characters, with lone surrogates (a cut may make one) replaced. */
export function wellFormed(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text.toWellFormed();
  // A slice would keep the whole text in memory for as long as it lives; this is a copy.
  return Buffer.from(text.slice(0, charsMax)).toString();
}
