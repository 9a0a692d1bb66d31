import { createHash, randomBytes } from 'node:crypto';
import type { Asker } from '../gate/asker.js';
import { actorOf, argumentsDigest, type GateCall } from '../gate/call.js';
import type { Verdict } from '../gate/state/approvals.js';
import { carriedCharsMax, openStatesMax, unexpectedMax } from './bounds.js';
import type { ClientMessage } from './client-line.js';
import { approvalForm, type FormAnswer, readFormAnswer } from './elicitation-form.js';
import { withoutRound } from './elicitation-line.js';
import { type AskedState, type CarriedState, RequestStates } from './elicitation-state.js';
import { innerMembers, rawText, stringValue } from './json-member.js';
import type { Outcomes } from './outcomes.js';
import type { LineOutlet } from './outlet.js';
import { droppedEvent } from './refusals.js';
import { newerEra, type Session } from './session.js';

type Request = Extract<ClientMessage, { kind: 'request' }>;
type Response = Extract<ClientMessage, { kind: 'response' }>;

/** Requests of the gate itself have ids that begin so, and no server's may. */
export const ownIdPrefix = 'gatebook-';

export interface ElicitationOptions {
  readonly session: Session;
  readonly outcomes: Outcomes;
  readonly toClient: LineOutlet;
  /** Whether persons are asked through the client at all. */
  readonly isOn: boolean;
}

/** How the person behind a call is asked through its client. */
export interface Round {
  readonly ask?: Asker | undefined;
  /** In the place of the call's line, where that held what is the gate's own. */
  readonly line?: Buffer | undefined;
  /** The server's name when the person was asked about this very call. */
  readonly server?: string | undefined;
  /** The question, once it has to go out with the answer to the call. */
  question?: { readonly answer: Buffer; readonly requestState: string } | undefined;
}

/** What may be asked in the newer era only by the answers to these. */
const roundMethods: ReadonlySet<string> = new Set(['tools/call', 'resources/read', 'prompts/get']);

/**
 * Asks the person behind the client, in both eras of MCP: by a request of our own where the client is told of capabilities once, by
 * `input_required` where it tells them with each request. Clients that show no forms are never asked.
 */
export class Elicitation {
  readonly #o: ElicitationOptions;
  readonly #open = new Map<string, (answer: FormAnswer) => void>();
  readonly #states = new RequestStates();
  #dropped = 0;

  constructor(options: ElicitationOptions) {
    this.#o = options;
  }

  /** How this call's person can be asked, or why the call must be refused. */
  begin(request: Request, line: Buffer, call: GateCall): Round | { readonly fault: string } {
    const { params } = request;
    const { session, isOn } = this.#o;
    const requestState = stringValue(params, 'requestState');
    const bound = boundOf(request, call);
    if (this.#states.isOurs(requestState)) {
      const carried = this.#states.take(requestState, bound);
      return 'fault' in carried ? carried : this.#answered(request, line, bound, carried);
    }
    if (!isOn) return {};
    const era = newerEra(params);
    if (era === undefined)
      return session.clientShowsForms ? { ask: (asked) => this.#ask(asked) } : {};
    if (!era.showsForms || !roundMethods.has(request.method)) return {};
    const inputResponses = params && rawText(params, 'inputResponses');
    return this.#asking({}, request, bound, {
      server: call.server ?? '',
      requestState,
      inputResponses,
    });
  }

  /** Takes a response that is the gate's and not the server's. Returns whether it was. */
  takes({ id, top }: Response): boolean {
    if (id?.key.startsWith(ownIdPrefix) !== true) return false;
    const settle = this.#open.get(id.key);
    if (settle === undefined) {
      this.#drop('it answers no question that is open', top.buffer);
      return true;
    }
    this.#open.delete(id.key);
    if (top.byName.has('error')) {
      settle('none');
      return true;
    }
    const answer = readFormAnswer(JSON.parse(rawText(top, 'result') ?? 'null'), this.#by());
    if (isFault(answer)) this.#drop(answer.fault, top.buffer);
    settle(answer);
    return true;
  }

  /** The era before 2026-07-28: a request of our own, which is taken back when somebody else has answered. */
  async #ask(asked: Parameters<Asker>[0]): Promise<Verdict | undefined> {
    if (asked.signal.aborted || this.#open.size >= openStatesMax) return undefined;
    const id = `${ownIdPrefix}${randomBytes(16).toString('hex')}`;
    const answer = new Promise<FormAnswer>((resolve) => {
      this.#open.set(id, resolve);
      const over = (): void => {
        if (!this.#open.delete(id)) return;
        const reason = 'the question was answered elsewhere, or its call has ended';
        this.#send({ method: 'notifications/cancelled', params: { requestId: id, reason } });
        resolve('none');
      };
      asked.signal.addEventListener('abort', over, { once: true });
    });
    this.#send({ id, method: 'elicitation/create', params: approvalForm(asked) });
    return verdictIn(await answer);
  }

  /** The era since: the question goes out as the answer to the call. */
  #asking(
    round: Round,
    request: Request,
    bound: AskedState,
    carried: Omit<CarriedState, 'question' | 'key'>,
  ): Round {
    const { requestState: state = '', inputResponses: inputs = '' } = carried;
    if (state.length + inputs.length > carriedCharsMax) return round;
    const asking: Round = {
      ...round,
      ask: async (asked) => {
        const key = `${ownIdPrefix}${randomBytes(8).toString('hex')}`;
        const requestState = this.#states.seal(bound, { ...carried, question: asked.id, key });
        const params = { mode: 'form', ...approvalForm(asked) };
        const inputRequests = { [key]: { method: 'elicitation/create', params } };
        const result = JSON.stringify({
          resultType: 'input_required',
          inputRequests,
          requestState,
        });
        const answer = Buffer.from(
          `{"jsonrpc":"2.0","id":${request.id.text},"result":${result}}\n`,
        );
        asking.question = { answer, requestState };
        return 'later';
      },
    };
    return asking;
  }

  /** The call again, now with what its person said. */
  #answered(request: Request, line: Buffer, bound: AskedState, carried: CarriedState): Round {
    const responses = request.params && innerMembers(request.params, 'inputResponses');
    const given = responses && rawText(responses, carried.key);
    const round = { line: withoutRound(line, request.params!, carried), server: carried.server };
    if (given === undefined) return this.#asking(round, request, bound, carried);
    const answer = readFormAnswer(JSON.parse(given), this.#by());
    if (isFault(answer)) this.#drop(answer.fault, line);
    const verdict = verdictIn(answer);
    const ask: Asker = async ({ id }) =>
      // Another question than the one that was answered: nobody has said anything to it.
      verdict !== undefined && id === carried.question ? verdict : 'nobody';
    return { ...round, ask };
  }

  #by(): string {
    const { userId, agent } = this.#o.session.actor();
    return (userId ?? `the user of ${agent ?? 'the client'}`).slice(0, 200).toWellFormed();
  }

  #send(message: object): void {
    const line = Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
    void this.#o.toClient.writeLine(line);
  }

  #drop(reason: string, line: Buffer): void {
    this.#dropped++;
    if (this.#dropped > unexpectedMax) return;
    const last = this.#dropped === unexpectedMax;
    const { session, outcomes } = this.#o;
    outcomes.record(droppedEvent(session, 'mcp.elicitation_answer', reason, line, last));
  }
}

function isFault(answer: FormAnswer): answer is { readonly fault: string } {
  return typeof answer === 'object' && 'fault' in answer;
}

function verdictIn(answer: FormAnswer): Verdict | undefined {
  return typeof answer === 'object' && 'verdict' in answer ? answer.verdict : undefined;
}

function boundOf({ method, params }: Request, call: GateCall): AskedState {
  const subject = stringValue(params, 'name') ?? stringValue(params, 'uri') ?? '';
  return {
    actor: actorOf(call.actor),
    session: call.sessionId,
    method,
    subject: createHash('sha256').update(subject).digest('hex'),
    digest: argumentsDigest(call),
  };
}
