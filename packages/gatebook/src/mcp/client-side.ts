import type { AuditEvent } from '@gatebook/audit';
import type { Refusal as LimitRefusal } from '@gatebook/ratelimit';
import {
  lineBytesMax,
  pendingCallsMax,
  pendingRequestsMax,
  queueBytesMax,
  queueLinesMax,
  refusedPreviewBytes,
} from './bounds.js';
import {
  type CallLimits,
  givenUpEvent,
  limitedEvent,
  overReason,
  refusalText,
  withRemaining,
} from './call-limits.js';
import type { Call, Calls } from './calls.js';
import {
  type ClientMessage,
  type Refusal,
  readClientLine,
  recordedMethods,
} from './client-line.js';
import { rawText, stringValue } from './json-member.js';
import type { Ledger } from './ledger.js';
import { type LinePart, LineSplitter } from './line-splitter.js';
import type { Outcomes } from './outcomes.js';
import type { LineOutlet, Outlet } from './outlet.js';
import {
  limitedCode,
  notMadeLine,
  notRecordedCode,
  refusalLine,
  refusedEvent,
  tooManyCode,
} from './refusals.js';
import type { Session } from './session.js';
import { StepQueue } from './step-queue.js';

type Request = Extract<ClientMessage, { kind: 'request' }>;

/** What becomes of a line: it is forwarded (and then this happens), or this is answered. */
type Verdict = { readonly forward: () => void } | { readonly answer: Buffer };

/** A line on its way. Records are begun in the order of the lines; lines are forwarded in that order too. */
interface Step {
  readonly line: Buffer;
  readonly verdict: Promise<Verdict>;
}

export interface ClientSideOptions {
  readonly session: Session;
  readonly calls: Calls;
  readonly ledger: Ledger;
  readonly outcomes: Outcomes;
  readonly limits: CallLimits;
  readonly toServer: Outlet;
  readonly toClient: LineOutlet;
}

/** Client to server: every line is judged, recorded where it is a call, and only then forwarded as it came. */
export class ClientSide {
  readonly #o: ClientSideOptions;
  readonly #queue = new StepQueue<Step>(queueLinesMax, queueBytesMax);
  readonly #splitter = new LineSplitter(lineBytesMax);
  /** The beginning of an overlong line while the rest of it passes by, and how long it has become. */
  #overlong: { readonly head: Buffer; bytes: number } | undefined;

  constructor(options: ClientSideOptions) {
    this.#o = options;
  }

  /** Runs until the client has closed its end and everything before that was dealt with. */
  async run(chunks: AsyncIterable<Buffer>): Promise<void> {
    const forwarding = this.#forwardAll();
    try {
      for await (const chunk of chunks) {
        for (const part of this.#splitter.push(chunk)) await this.#take(part);
      }
      await this.#takeRest();
    } finally {
      this.#queue.end();
      await forwarding;
    }
  }

  async #forwardAll(): Promise<void> {
    for (;;) {
      const step = await this.#queue.peek();
      if (step === undefined) return;
      const verdict = await step.verdict;
      if ('answer' in verdict) {
        await this.#o.toClient.writeLine(verdict.answer);
      } else {
        verdict.forward();
        await this.#o.toServer.write(step.line);
      }
      this.#queue.done();
    }
  }

  async #take(part: LinePart): Promise<void> {
    if (part.start && part.end) {
      const step = this.#begin(part.bytes);
      if (step !== undefined) await this.#queue.put(step, part.bytes.length);
      return;
    }
    this.#overlong ??= { head: Buffer.from(part.bytes.subarray(0, refusedPreviewBytes)), bytes: 0 };
    this.#overlong.bytes += part.bytes.length;
    if (part.end) await this.#refuseOverlong();
  }

  async #refuseOverlong(): Promise<void> {
    const { head, bytes } = this.#overlong!;
    this.#overlong = undefined;
    const reason = `the line has ${bytes} bytes; at most ${lineBytesMax} are relayed`;
    const step = this.#refuse({ kind: 'refused', code: -32600, reason }, head, bytes);
    await this.#queue.put(step, head.length);
  }

  /** An unfinished last line is no message: some servers would read it and others would not. */
  async #takeRest(): Promise<void> {
    const rest = this.#splitter.rest();
    if (this.#overlong !== undefined) return this.#refuseOverlong();
    if (rest === undefined) return;
    if (readClientLine(rest.bytes).kind === 'blank') return;
    const reason = 'the input ended in the middle of a line';
    const step = this.#refuse({ kind: 'refused', code: -32700, reason }, rest.bytes);
    await this.#queue.put(step, rest.bytes.length);
  }

  #begin(line: Buffer): Step | undefined {
    const message = readClientLine(line);
    switch (message.kind) {
      case 'blank':
        return undefined;
      case 'refused':
        return this.#refuse(this.#withSafeId(message), line);
      case 'request':
        return { line, verdict: this.#request(message, line) };
      case 'notification':
        this.#giveUp(message);
        return { line, verdict: Promise.resolve({ forward: () => this.#notified(message) }) };
      case 'response':
        return { line, verdict: Promise.resolve({ forward: () => undefined }) };
    }
  }

  /** An id that is in use must not be echoed: the client would take the refusal for that call's answer. */
  #withSafeId(refusal: Refusal): Refusal {
    if (refusal.id === undefined || !this.#o.calls.has(refusal.id.key)) return refusal;
    return { kind: 'refused', code: refusal.code, reason: refusal.reason };
  }

  #refuse(refusal: Refusal, line: Buffer, bytes = line.length): Step {
    const { session, ledger } = this.#o;
    const event = refusedEvent(session, 'mcp.client_line', refusal.reason, line, bytes);
    const answer = refusalLine(refusal);
    return { line, verdict: ledger.fact(event).then(() => ({ answer })) };
  }

  #request(request: Request, line: Buffer): Promise<Verdict> {
    const { calls, session } = this.#o;
    if (calls.has(request.id.key)) return this.#idInUse(request, line);
    const recorded = recordedMethods.has(request.method) && request.params !== undefined;
    if (calls.waiting >= pendingRequestsMax || (recorded && calls.open >= pendingCallsMax)) {
      return this.#tooMany(request, line);
    }
    session.learnFromClient(request);
    if (!recorded) {
      calls.watch(request.id, request.method);
      return Promise.resolve({ forward: () => undefined });
    }
    return this.#call(request, request.params!);
  }

  async #call(request: Request, params: NonNullable<Request['params']>): Promise<Verdict> {
    const { calls, ledger, limits, session } = this.#o;
    const { method, id } = request;
    const { call, intent } = calls.begin({ method, id, params });
    const { channel, userId } = session.actor();
    const tool = method === 'tools/call' ? call.subject : undefined;
    call.begun = false;
    const wanted = { actor: userId, channel, session: session.id, tool };
    const decision = await limits.take(wanted, call.giveUp).catch(() => undefined);
    if (decision === undefined || !calls.has(id.key)) {
      if (decision?.allowed) decision.refund();
      return await this.#givenUp(request, call, intent);
    }
    if (!decision.allowed) return await this.#limited(request, intent, decision);
    call.begun = true;
    call.limitRemaining = decision.remaining;
    const failure = await ledger.intent(withRemaining(intent, decision.remaining));
    if (failure === undefined) return { forward: () => calls.forwarded(call) };
    calls.drop(id.key);
    decision.refund();
    const why = `it could not be recorded in the audit log (${failure})`;
    return { answer: notMadeLine(request, notRecordedCode, why) };
  }

  async #givenUp(request: Request, call: Call, intent: AuditEvent): Promise<Verdict> {
    const { calls, ledger } = this.#o;
    calls.drop(request.id.key);
    const { aborted, reason } = call.giveUp.signal;
    const why = `${aborted ? reason : overReason} while it waited for a limit`;
    await ledger.fact(givenUpEvent(intent, why));
    return { answer: notMadeLine(request, limitedCode, why) };
  }

  async #limited(request: Request, intent: AuditEvent, refusal: LimitRefusal): Promise<Verdict> {
    this.#o.calls.drop(request.id.key);
    await this.#o.ledger.fact(limitedEvent(intent, refusal));
    return { answer: notMadeLine(request, limitedCode, refusalText(refusal)) };
  }

  async #idInUse(request: Request, line: Buffer): Promise<Verdict> {
    const reason = `the id ${request.id.text} is in use by a request without an answer; their answers could not be told apart`;
    const { session, ledger } = this.#o;
    await ledger.fact(refusedEvent(session, 'mcp.id_in_use', reason, line));
    return { answer: refusalLine({ kind: 'refused', code: -32600, reason }) };
  }

  async #tooMany(request: Request, line: Buffer): Promise<Verdict> {
    const { session, ledger, calls } = this.#o;
    const why = `too many requests wait for an answer (${calls.waiting}, of them ${calls.open} calls); wait for some of them`;
    await ledger.fact(refusedEvent(session, 'mcp.pending_bound', why, line));
    return { answer: notMadeLine(request, tooManyCode, why) };
  }

  /** A call that still waits for a limit need not be made when it is cancelled; what is behind it in line need not wait for that. */
  #giveUp(message: Extract<ClientMessage, { kind: 'notification' }>): void {
    const key = cancelledKey(message);
    if (key !== undefined) this.#o.calls.giveUp(key);
  }

  #notified(message: Extract<ClientMessage, { kind: 'notification' }>): void {
    const { calls, outcomes } = this.#o;
    const key = cancelledKey(message);
    if (key === undefined) return;
    const event = calls.cancel(key, stringValue(message.params!, 'reason'));
    if (event !== undefined) outcomes.record(event);
  }
}

/** The id of the request that a notification cancels. */
function cancelledKey({
  method,
  params,
}: Extract<ClientMessage, { kind: 'notification' }>): string | undefined {
  if (method !== 'notifications/cancelled' || params === undefined) return undefined;
  return stringValue(params, 'requestId') ?? rawText(params, 'requestId');
}
