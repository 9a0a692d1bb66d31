import { argumentsFrom, type GateCall } from '../gate/call.js';
import type { Refused } from '../gate/refused.js';
import type { Admitted, Gate } from '../gate.js';
import {
  lineBytesMax,
  pendingCallsMax,
  pendingRequestsMax,
  queueBytesMax,
  queueLinesMax,
  refusedPreviewBytes,
} from './bounds.js';
import type { Call, Calls } from './calls.js';
import {
  type ClientMessage,
  type Refusal,
  readClientLine,
  recordedMethods,
} from './client-line.js';
import type { Elicitation } from './elicitation.js';
import { type Members, rawText, stringValue } from './json-member.js';
import type { Ledger } from './ledger.js';
import { type LinePart, LineSplitter } from './line-splitter.js';
import type { Outcomes } from './outcomes.js';
import type { LineOutlet, Outlet } from './outlet.js';
import {
  deniedCode,
  limitedCode,
  notMadeLine,
  notRecordedCode,
  refusalLine,
  refusedEvent,
  tooManyCode,
} from './refusals.js';
import type { Session } from './session.js';
import { StepQueue } from './step-queue.js';
import type { ToolPins } from './tool-pins.js';

type Request = Extract<ClientMessage, { kind: 'request' }>;

/** What becomes of a line: it is forwarded, which this takes note of unless it gives an answer in its place; or this is answered. */
type Final =
  | { readonly forward: () => Promise<Buffer> | undefined; readonly line?: Buffer | undefined }
  | { readonly answer: Buffer };

/** It may also be that a person must be asked first, and that what is behind it goes on. */
type Verdict = Final | { readonly later: Promise<Final> };

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
  readonly gate: Gate;
  readonly elicitation: Elicitation;
  readonly pins: ToolPins;
  /** The server's name in policies, where the operator gave one. */
  readonly serverName?: string | undefined;
  /** By which its tools are pinned. */
  readonly pinnedAs: string;
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
  /** Lines that wait for a person, and hold up nothing. */
  readonly #held = new Set<Promise<void>>();

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
      await Promise.all(this.#held);
    }
  }

  async #forwardAll(): Promise<void> {
    for (;;) {
      const step = await this.#queue.peek();
      if (step === undefined) return;
      const verdict = await step.verdict;
      if ('later' in verdict) this.#hold(step.line, verdict.later);
      else await this.#pass(step.line, verdict);
      this.#queue.done();
    }
  }

  #hold(line: Buffer, later: Promise<Final>): void {
    const passed = later.then((final) => this.#pass(line, final)).catch(() => undefined);
    this.#held.add(passed);
    void passed.finally(() => this.#held.delete(passed));
  }

  async #pass(line: Buffer, final: Final): Promise<void> {
    if ('answer' in final) return await this.#o.toClient.writeLine(final.answer);
    const instead = final.forward();
    if (instead !== undefined) return await this.#o.toClient.writeLine(await instead);
    await this.#o.toServer.write(final.line ?? line);
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
        // The server has never heard of what is given up here.
        if (this.#gaveUp(message)) return undefined;
        return { line, verdict: Promise.resolve({ forward: () => this.#notified(message) }) };
      case 'response':
        if (this.#o.elicitation.takes(message)) return undefined;
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
      calls.watch(request.id, request.method, stringValue(request.params, 'cursor'));
      return Promise.resolve({ forward: () => undefined });
    }
    let hold = (): void => {};
    const held = new Promise<void>((resolve) => {
      hold = resolve;
    });
    const later = this.#call(request, request.params!, line, hold);
    return Promise.race([later, held.then(() => ({ later }))]);
  }

  async #call(
    request: Request,
    params: NonNullable<Request['params']>,
    line: Buffer,
    onHold: () => void,
  ): Promise<Final> {
    const { calls, elicitation, gate, session } = this.#o;
    const { method, id } = request;
    const { call, intent } = calls.begin({ method, id, params });
    call.begun = false;
    const called: GateCall = {
      actor: session.actor(),
      sessionId: session.id,
      server: this.#o.serverName ?? session.source,
      serverIdentity: this.#o.pinnedAs,
      ...calledOf(method, call.subject, params),
      ...this.#pinned(method, call.subject),
      intent,
      signal: call.giveUp.signal,
      onHold,
      onIntent: () => {
        call.begun = true;
      },
    };
    const round = elicitation.begin(request, line, called);
    if ('fault' in round) {
      calls.drop(id.key);
      return await this.#badState(request, line, round.fault);
    }
    const server = round.server ?? called.server;
    const admitted = await gate.admit({ ...called, server, ask: round.ask });
    if (!admitted.allowed) {
      calls.drop(id.key);
      if (round.question !== undefined && admitted.code === 'approval_pending') {
        calls.carryOn(call, round.question.requestState);
        return { answer: round.question.answer };
      }
      return { answer: notMadeLine(request, codeOf(admitted), admitted.reason) };
    }
    call.limitRemaining = admitted.remaining;
    call.onEnd = (success) => void admitted.ended(success);
    return { forward: () => this.#forward(request, call, admitted), line: round.line };
  }

  /** Its lines before may have waited for long, so only now is it certain that nobody has given the call up. */
  #forward(request: Request, call: Call, admitted: Admitted): Promise<Buffer> | undefined {
    const { calls, toServer } = this.#o;
    if (toServer.closed) calls.lose(call, 'the server takes no calls any more');
    if (call.giveUp.signal.aborted) return this.#notMade(request, call, admitted);
    calls.forwarded(call);
    return undefined;
  }

  async #notMade(request: Request, call: Call, admitted: Admitted): Promise<Buffer> {
    const { calls, outcomes } = this.#o;
    await admitted.notMade();
    const event = calls.notMade(request.id.key);
    if (event !== undefined) outcomes.record(event);
    return notMadeLine(request, limitedCode, String(call.giveUp.signal.reason));
  }

  #pinned(method: string, tool: string): Pick<GateCall, 'annotations' | 'pin'> {
    if (method !== 'tools/call') return {};
    const { pins } = this.#o;
    return { annotations: pins.annotationsOf(tool), pin: () => pins.pinOf(tool) };
  }

  async #badState(request: Request, line: Buffer, fault: string): Promise<Final> {
    const { session, ledger } = this.#o;
    await ledger.fact(refusedEvent(session, 'mcp.request_state', fault, line));
    return { answer: notMadeLine(request, deniedCode, fault) };
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

  /** A call that is not forwarded yet need not be made when it is cancelled; what is behind it in line need not wait for that. */
  #gaveUp(message: Extract<ClientMessage, { kind: 'notification' }>): boolean {
    const key = cancelledKey(message);
    return key !== undefined && this.#o.calls.giveUp(key);
  }

  #notified(message: Extract<ClientMessage, { kind: 'notification' }>): undefined {
    const { calls, outcomes } = this.#o;
    const key = cancelledKey(message);
    if (key === undefined) return;
    const event = calls.cancel(key, stringValue(message.params!, 'reason'));
    if (event !== undefined) outcomes.record(event);
  }
}

/** The JSON-RPC code of a refusal, where the method has no result that a model reads. */
function codeOf({ code }: Refused): number {
  switch (code) {
    case 'rate_limited':
    case 'cancelled':
      return limitedCode;
    case 'denied':
    case 'approval_pending':
    case 'breaker_open':
      return deniedCode;
    default:
      return notRecordedCode;
  }
}

/** What a call is for the gate: a tool by its name, anything else by its method. */
function calledOf(
  method: string,
  subject: string,
  params: Members,
): Pick<GateCall, 'name' | 'isTool' | 'arguments' | 'exactArguments'> {
  const isTool = method === 'tools/call';
  if (isTool || method === 'prompts/get') {
    const given = rawText(params, 'arguments') ?? '{}';
    if (isTool) return { name: subject, isTool, ...argumentsFrom(given) };
    const whole = `{"name":${JSON.stringify(subject)},"arguments":${given}}`;
    return { name: method, isTool, ...argumentsFrom(whole) };
  }
  const member = recordedMethods.get(method) ?? 'name';
  return { name: method, isTool, arguments: { [member]: stringValue(params, member) ?? subject } };
}

/** The id of the request that a notification cancels. */
function cancelledKey({
  method,
  params,
}: Extract<ClientMessage, { kind: 'notification' }>): string | undefined {
  if (method !== 'notifications/cancelled' || params === undefined) return undefined;
  return stringValue(params, 'requestId') ?? rawText(params, 'requestId');
}
