import type { AuditEvent, EventType, JsonObject, Result, Trace } from '@gatebook/audit';
import { cancelledMax, resourceCharsMax } from './bounds.js';
import { type RequestId, recordedMethods } from './client-line.js';
import { Continuations } from './continuations.js';
import { newCallId } from './ids.js';
import { innerMembers, type Members, rawText, stringValue } from './json-member.js';
import { type AnswerFacts, wellFormed } from './server-line.js';
import type { Session } from './session.js';

const eventTypeOf: ReadonlyMap<string, EventType> = new Map<string, EventType>([
  ['tools/call', 'tool_execution'],
  ['resources/read', 'file_access'],
  ['prompts/get', 'mcp.prompt_get'],
  ['tasks/result', 'mcp.task_result'],
]);

/** A request that must be recorded. */
export interface CallRequest {
  readonly method: string;
  readonly id: RequestId;
  readonly params: Members;
}

/** One recorded call between its intent and its outcome. */
export interface Call {
  readonly callId: string;
  readonly method: string;
  /** Tool name, prompt name, task id or URI, a long one cut. */
  readonly subject: string;
  readonly idText: string;
  readonly trace: Trace | undefined;
  /** Milliseconds on the monotonic clock, of the moment it was forwarded, before that of its arrival. */
  sinceMs: number;
  cancelled: boolean;
  /** What was left in the tightest limit when it was let through; null without any. */
  limitRemaining: number | null;
  /** False while the gate has not let it through: no outcome is recorded of it then. */
  begun: boolean;
  /** Whether it is the server's by now. */
  forwarded: boolean;
  /** Gives it up before it is forwarded. */
  readonly giveUp: AbortController;
  /** Whether it is given up for the server, which takes no more calls. */
  lost: boolean;
  /** Told how it ended. */
  onEnd: ((success: boolean) => void) | undefined;
}

interface Pending {
  /** Absent for requests that are only watched, so that ids stay unambiguous. */
  readonly call?: Call;
  readonly method: string;
  /** Of a request that is only watched, the page of a list that it asks for. */
  readonly cursor?: string | undefined;
  /** Of a request for tools, that its client may have been shown other ones than its answer says. */
  spoiled?: boolean;
}

/** What an answer turned out to be, and the event that says so. */
export interface Answered {
  readonly event: AuditEvent | undefined;
  /** Whether a request was waiting for it. */
  readonly expected: boolean;
  /** The request, where it asked for tools. */
  readonly toolList?:
    | { readonly cursor: string | undefined; readonly spoiled: boolean }
    | undefined;
}

/** The requests that wait for an answer, and what must be recorded of them. Holds no stream and no log. */
export class Calls {
  readonly #session: Session;
  readonly #now: () => number;
  readonly #pending = new Map<string, Pending>();
  readonly #continuations = new Continuations();
  #open = 0;
  #cancelled = 0;

  constructor(session: Session, now: () => number = () => performance.now()) {
    this.#session = session;
    this.#now = now;
  }

  /** Requests of every kind that wait for an answer. */
  get waiting(): number {
    return this.#pending.size - this.#cancelled;
  }

  /** Recorded calls that wait for an answer. */
  get open(): number {
    return this.#open;
  }

  has(key: string): boolean {
    return this.#pending.has(key);
  }

  /** Notes a request that is not recorded. */
  watch(id: RequestId, method: string, cursor?: string): void {
    this.#pending.set(id.key, { method, cursor });
  }

  /** Notes a call and gives the intent to be recorded before it is forwarded. */
  begin(request: CallRequest): { call: Call; intent: AuditEvent } {
    const { method, params } = request;
    const subject = subjectIn(method, params);
    const call: Call = {
      callId: newCallId(),
      method,
      subject,
      idText: request.id.text,
      trace: traceOf(params),
      sinceMs: this.#now(),
      cancelled: false,
      limitRemaining: null,
      begun: true,
      forwarded: false,
      giveUp: new AbortController(),
      lost: false,
      onEnd: undefined,
    };
    this.#pending.set(request.id.key, { method, call });
    this.#open++;
    const continues = this.#continuations.find(method, subject, params);
    return { call, intent: this.#intent(call, params, continues) };
  }

  forwarded(call: Call): void {
    call.forwarded = true;
    call.sinceMs = this.#now();
  }

  /** A call that was not made, because its person is asked first: the request that repeats this state carries it on. */
  carryOn({ callId, method, subject }: Call, requestState: string): void {
    this.#continuations.remember(callId, method, subject, { requestState });
  }

  /** Forgets a request that was refused after all. */
  drop(key: string): void {
    this.#remove(key);
  }

  /** The outcome of a call that the client cancels, or undefined when there is no such call. */
  cancel(key: string, reason: string | undefined): AuditEvent | undefined {
    const call = this.#pending.get(key)?.call;
    if (call === undefined || call.cancelled || !call.begun) return undefined;
    call.cancelled = true;
    this.#open--;
    this.#cancelled++;
    this.#forgetCancelled();
    const why = reason === undefined ? {} : { error: wellFormed(reason, resourceCharsMax) };
    return this.#outcome(call, { success: false, status: 'cancelled', ...why });
  }

  /** The outcome of a call that was let through and given up before it was forwarded; undefined where it has one already. */
  notMade(key: string): AuditEvent | undefined {
    const call = this.#pending.get(key)?.call;
    if (call === undefined) return undefined;
    this.#remove(key);
    const status = call.lost ? 'server_died' : 'cancelled';
    const error = wellFormed(String(call.giveUp.signal.reason), resourceCharsMax);
    return this.#outcome(call, { success: false, status, error });
  }

  /** Takes an answer by the first of its keys that anybody waits for. `facts` is only read when it matters. */
  answer(keys: readonly string[], facts: () => AnswerFacts): Answered {
    // Of a call that is not forwarded yet the server knows nothing: what it says of one is guessed.
    const key = keys.find((candidate) => this.#isAsked(candidate));
    if (key === undefined) return { event: undefined, expected: false };
    const { call, method, cursor, spoiled = false } = this.#pending.get(key)!;
    this.#remove(key);
    if (call === undefined) {
      if (method === 'initialize' || method === 'server/discover') {
        this.#session.learnFromServer(facts());
      }
      const toolList = method === 'tools/list' ? { cursor, spoiled } : undefined;
      return { event: undefined, expected: true, toolList };
    }
    const read = facts();
    this.#session.learnFromServer(read);
    if (call.cancelled) return { event: this.#late(call, read), expected: true };
    if (read.status === 'input_required' || read.status === 'task') {
      this.#continuations.remember(call.callId, call.method, call.subject, read);
    }
    return { event: this.#answered(call, read), expected: true };
  }

  /** The client may have read something else as the answer to its requests for tools. Returns whether any wait for one. */
  spoilToolLists(): boolean {
    let any = false;
    for (const pending of this.#pending.values()) {
      if (pending.method !== 'tools/list') continue;
      pending.spoiled = true;
      any = true;
    }
    return any;
  }

  /** The outcomes of all calls that will not be answered any more. Those that are not forwarded are given up, and end where they wait. */
  abandon(error: string): AuditEvent[] {
    const events: AuditEvent[] = [];
    for (const [key, { call }] of this.#pending) {
      if (call !== undefined && !call.forwarded && !call.cancelled) {
        this.lose(call, error);
        continue;
      }
      this.#remove(key);
      if (call === undefined || call.cancelled) continue;
      events.push(this.#outcome(call, { success: false, status: 'server_died', error }));
    }
    return events;
  }

  /** The same at the very end, when nothing waits any more that could end by itself. */
  abandonAll(error: string): AuditEvent[] {
    const events = this.abandon(error);
    for (const [key, { call }] of this.#pending) {
      const event = call?.begun === true ? this.notMade(key) : undefined;
      this.#remove(key);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  /** Gives up a call that is not forwarded yet, for there is no server to forward it to. */
  lose(call: Call, error: string): void {
    if (call.giveUp.signal.aborted) return;
    call.lost = true;
    call.giveUp.abort(error);
  }

  #isAsked(key: string): boolean {
    const pending = this.#pending.get(key);
    if (pending?.call === undefined) return pending !== undefined;
    // Of a call that is cancelled the server has been told, so it has heard of the call.
    return pending.call.forwarded || pending.call.cancelled;
  }

  /** Gives up a call that is not forwarded yet; false when there is none with this key. */
  giveUp(key: string): boolean {
    const call = this.#pending.get(key)?.call;
    if (call === undefined || call.forwarded) return false;
    call.giveUp.abort('it was cancelled');
    return true;
  }

  /** Nobody needs to wait any more: gives up all that the gate has not let through. */
  giveUpAll(reason: string): void {
    for (const { call } of this.#pending.values()) {
      if (call !== undefined && !call.begun) call.giveUp.abort(reason);
    }
  }

  #remove(key: string): void {
    const call = this.#pending.get(key)?.call;
    this.#pending.delete(key);
    if (call === undefined) return;
    if (call.cancelled) this.#cancelled--;
    else this.#open--;
  }

  /** A server need not answer what was cancelled, so only so many of those are kept in mind. */
  #forgetCancelled(): void {
    if (this.#cancelled <= cancelledMax) return;
    for (const [key, { call }] of this.#pending) {
      if (call?.cancelled !== true) continue;
      this.#remove(key);
      return;
    }
  }

  #intent(call: Call, params: Members, continues: string | undefined): AuditEvent {
    const args = argumentsOf(call, params);
    const version = this.#session.protocolVersion;
    return {
      ...this.#frame(call),
      action: {
        phase: 'intent',
        ...subjectOf(call),
        ...(args === undefined ? {} : { argumentsText: args }),
        ...(continues === undefined ? {} : { continues }),
      },
      details: {
        ...detailsOf(call),
        ...(version === undefined ? {} : { protocol_version: version }),
        ...this.#session.clientDetails(),
      },
    };
  }

  #answered(call: Call, facts: AnswerFacts): AuditEvent {
    const { status, success, error, outputText } = facts;
    return this.#outcome(
      call,
      {
        success,
        status,
        ...(error === undefined ? {} : { error }),
        ...(outputText === undefined ? {} : { outputText }),
      },
      answerDetails(facts),
    );
  }

  /** The outcome was `cancelled`; that the server finished the call nevertheless is a fact of its own. */
  #late(call: Call, facts: AnswerFacts): AuditEvent {
    const event = this.#answered(call, facts);
    const { phase: _, ...action } = event.action ?? {};
    return { ...event, eventType: 'mcp.late_answer', action };
  }

  #outcome(call: Call, result: Result, more: JsonObject = {}): AuditEvent {
    const durationMs = Math.round((this.#now() - call.sinceMs) * 1000) / 1000;
    call.onEnd?.(result.success === true);
    call.onEnd = undefined;
    const rateLimitRemaining = call.limitRemaining;
    return {
      ...this.#frame(call),
      action: { phase: 'outcome', ...subjectOf(call) },
      result: { ...result, durationMs },
      ...(rateLimitRemaining === null ? {} : { security: { rateLimitRemaining } }),
      details: { ...detailsOf(call), ...more },
    };
  }

  #frame(call: Call): AuditEvent {
    return {
      eventType: eventTypeOf.get(call.method) ?? 'mcp.call',
      actor: this.#session.actor(),
      sessionId: this.#session.id,
      callId: call.callId,
      source: this.#session.source,
      ...(call.trace === undefined ? {} : { trace: call.trace }),
    };
  }
}

function subjectIn(method: string, params: Members): string {
  const subject = stringValue(params, recordedMethods.get(method) ?? 'name') ?? '';
  return wellFormed(subject, resourceCharsMax);
}

function subjectOf(call: Call): { tool?: string; resource?: string } {
  return call.method === 'tools/call' ? { tool: call.subject } : { resource: call.subject };
}

/** The raw text of the arguments; for a URI that may have been cut, the URI. */
function argumentsOf(call: Call, params: Members): string | undefined {
  const cut = call.method === 'resources/read' && call.subject.length >= resourceCharsMax;
  return rawText(params, cut ? 'uri' : 'arguments');
}

function detailsOf(call: Call): JsonObject {
  return { method: call.method, jsonrpc_id: call.idText };
}

function answerDetails(facts: AnswerFacts): JsonObject {
  return {
    ...(facts.errorCode === undefined ? {} : { jsonrpc_error_code: facts.errorCode }),
    ...(facts.fault === undefined ? {} : { answer_fault: facts.fault }),
    ...(facts.outputText === undefined ? { answer_bytes: facts.lineBytes } : {}),
  };
}

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/;

/** The W3C trace context of `params._meta.traceparent`; anything else than a valid one is left out. */
function traceOf(params: Members): Trace | undefined {
  const text = stringValue(innerMembers(params, '_meta'), 'traceparent');
  const match = text === undefined ? null : traceparent.exec(text);
  if (match === null || /^0+$/.test(match[1]!) || /^0+$/.test(match[2]!)) return undefined;
  return { traceId: match[1], spanId: match[2] };
}
