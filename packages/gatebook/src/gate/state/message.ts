import type { Decision } from '@gatebook/ratelimit';
import type { LimitSpec } from '../../limits.js';
import { GateError, type GateErrorCode } from '../errors.js';
import type { Approval, Question, QuestionState, Shown, Verdict } from './approvals.js';
import type { BreakerAnswer, BreakerRules } from './breaker.js';
import type { PinState, ShownTool } from './pins.js';

/** A request as the limits see it. */
export interface SharedRequest {
  readonly actor?: string | undefined;
  readonly channel?: string | undefined;
  readonly session?: string | undefined;
  readonly tool?: string | undefined;
  readonly cost?: number | undefined;
}

/** What a gate asks the process that holds what all gates share, each with what is answered. JSON on the wire. */
export interface Exchanges {
  /** There is a gate. Any other message says so too. */
  hello: [Done, Done];
  /** The gate is done: all its calls have their outcomes. */
  bye: [Done, Done];
  /** Makes the limits of a configuration known, perhaps in the place of another's. */
  limits: [{ specs: readonly LimitSpec[]; replaces?: string | undefined }, { id: string }];
  enter: [{ session: string; call: string; rules: BreakerRules }, BreakerAnswer];
  /** A call has ended, or was denied. What its grant took stays taken. `probe`: as `enter` named it. */
  ended: [
    {
      session: string;
      success: boolean;
      grant?: string | undefined;
      probe?: string | undefined;
    },
    Done,
  ];
  /** The call that was to show whether a stopped session may go on was not made. */
  unprobed: [{ session: string; probe: string }, Done];
  /** `enter`, and `take` where the session may go on: one message in the place of two. */
  admit: [
    { session: string; call: string; rules: BreakerRules; limits: string; request: SharedRequest },
    Admission | UnknownLimits,
  ];
  take: [
    { limits: string; request: SharedRequest; approval?: string | undefined },
    LimitAnswer | UnknownLimits,
  ];
  peek: [{ limits: string; request: SharedRequest }, LimitAnswer | UnknownLimits];
  /** Calls that these limits let through and that are under way: said at times, so that one who holds later counts them. */
  holding: [
    { limits: string; calls: readonly { grant: string; request: SharedRequest }[] },
    Done | UnknownLimits,
  ];
  /** The call was not made: what was taken for it is given back, the approval it used too. */
  refund: [{ grant: string }, Done];
  find: [{ question: Question }, { approval?: Approval | undefined }];
  /** `unreachable`: why nobody can answer by `gatebook approve`. */
  ask: [
    { question: Question; shown: Omit<Shown, 'pid'> },
    { id: string; unreachable?: string | undefined },
  ];
  /** Answered when there is news, or after a while. */
  news: [{ id: string }, QuestionState];
  /** The asker's own person has answered. */
  decide: [{ id: string; verdict: Verdict }, { approval?: Approval | undefined }];
  withdraw: [{ id: string }, Done];
  /** What tools of a server are known; new ones are pinned. */
  pins: [
    { server: string; tools: readonly ShownTool[]; complete: boolean },
    { states: readonly PinState[]; present: number },
  ];
  /** Those that are pinned and not gone. */
  pinned: [{ server: string; from: number }, { tools: readonly ShownTool[]; total: number }];
  gonePins: [{ server: string; tools: readonly string[] }, Done];
  /** A person has approved a call to a tool as it is by now. */
  acceptPin: [{ server: string; tool: string; hash: string }, Done];
}

export type Op = keyof Exchanges;
export type Ask<O extends Op> = Exchanges[O][0];
export type Answer<O extends Op> = Exchanges[O][1];
export type Message = { [O in Op]: { readonly op: O } & Ask<O> }[Op];

/** There is no more to say. */
export type Done = Record<string, never>;

/** In the place of an answer: a GateError. */
export interface StateError {
  readonly code: GateErrorCode;
  readonly message: string;
  readonly rule?: string | undefined;
}

/** The holder has changed, and does not know these limits: register them. */
export interface UnknownLimits {
  readonly unknown: true;
}

/** `taken` where the session is not stopped. */
export interface Admission {
  readonly entered: BreakerAnswer;
  readonly taken?: LimitAnswer | undefined;
}

/** A decision of the limits; `null` stands for an infinite number. */
export interface LimitAnswer {
  readonly allowed: boolean;
  /** The operator's name of the limit that decided. */
  readonly by: string;
  readonly remaining: number | null;
  readonly limit: number | null;
  readonly retryAfterMs: number | null;
  readonly reason?: Decision['reason'];
  /** By which what was taken can be given back. */
  readonly grant?: string | undefined;
}

/**
 * Reads a message as far as it must be trusted not to break the one who reads it.
 *
 * @throws GateError `bad_message`
 */
export function readMessage(text: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GateError('bad_message', 'a message is no JSON', { cause });
  }
  const op = member(value, 'op');
  const check = typeof op === 'string' && Object.hasOwn(checks, op) ? checks[op as Op] : undefined;
  if (check === undefined) throw bad('op', op);
  check(value);
  return value as Message;
}

type Check = (value: unknown) => void;

const shortMax = 512;
const specsMax = 256;
const textMax = 48 * 1024;

const checks: Readonly<Record<Op, Check>> = {
  hello: () => {},
  bye: () => {},
  limits: (value) => {
    const specs = member(value, 'specs');
    if (!Array.isArray(specs) || specs.length > specsMax) throw bad('specs', specs);
    for (const spec of specs as unknown[]) checkSpec(spec);
    optional(value, 'replaces', short);
  },
  enter: (value) => checkEntry(value),
  admit: (value) => {
    checkEntry(value);
    checkRequest(value);
  },
  ended: (value) => {
    short(value, 'session');
    if (typeof member(value, 'success') !== 'boolean') throw bad('success', value);
    optional(value, 'grant', short);
    optional(value, 'probe', short);
  },
  unprobed: (value) => {
    short(value, 'session');
    short(value, 'probe');
  },
  take: (value) => {
    checkRequest(value);
    optional(value, 'approval', short);
  },
  peek: (value) => checkRequest(value),
  holding: (value) => {
    short(value, 'limits');
    for (const call of list(value, 'calls')) {
      short(call, 'grant');
      checkAsked(member(call, 'request'));
    }
  },
  refund: (value) => short(value, 'grant'),
  find: (value) => checkQuestion(member(value, 'question')),
  ask: (value) => {
    checkQuestion(member(value, 'question'));
    const shown = member(value, 'shown');
    short(shown, 'risk');
    texts(shown, 'reasons');
    long(shown, 'text');
    amount(shown, 'bytes');
  },
  news: (value) => short(value, 'id'),
  decide: (value) => {
    short(value, 'id');
    checkVerdict(member(value, 'verdict'));
  },
  withdraw: (value) => short(value, 'id'),
  pins: (value) => {
    short(value, 'server');
    if (typeof member(value, 'complete') !== 'boolean') throw bad('complete', value);
    const tools = list(value, 'tools');
    for (const tool of tools) {
      long(tool, 'name');
      short(tool, 'hash');
    }
  },
  pinned: (value) => {
    short(value, 'server');
    amount(value, 'from');
  },
  gonePins: (value) => {
    short(value, 'server');
    const tools = list(value, 'tools');
    for (const place of tools.keys()) textOf(tools, String(place), textMax);
  },
  acceptPin: (value) => {
    short(value, 'server');
    long(value, 'tool');
    short(value, 'hash');
  },
};

function checkEntry(value: unknown): void {
  short(value, 'session');
  short(value, 'call');
  const rules = member(value, 'rules');
  for (const name of ['identicalCalls', 'failures', 'calls', 'wallMs']) {
    optional(rules, name, amount);
  }
}

function checkSpec(spec: unknown): void {
  short(spec, 'name');
  const kinds = ['rate', 'inFlight', 'quota'].filter((kind) => member(spec, kind) !== undefined);
  if (kinds.length !== 1) throw bad('kind', spec);
  const rate = member(spec, 'rate');
  const quota = member(spec, 'quota');
  if (rate !== undefined) {
    amount(rate, 'count');
    amount(rate, 'perMs');
  } else if (quota !== undefined) {
    amount(quota, 'max');
    checkPeriod(member(quota, 'period'));
  } else amount(spec, 'inFlight');
  optional(spec, 'burst', amount);
  optional(spec, 'scope', texts);
  optional(spec, 'tool', short);
}

function checkPeriod(period: unknown): void {
  if (member(period, 'rollingMs') !== undefined) {
    amount(period, 'rollingMs');
    return;
  }
  short(period, 'calendar');
  optional(period, 'zone', short);
}

function checkRequest(value: unknown): void {
  short(value, 'limits');
  checkAsked(member(value, 'request'));
}

/** A member of a request is no longer: what is in flight is kept by it. */
export const memberCharsMax = 1_024;

function checkAsked(request: unknown): void {
  for (const name of ['actor', 'channel', 'session', 'tool']) {
    optional(request, name, (value, each) => textOf(value, each, memberCharsMax));
  }
  optional(request, 'cost', amount);
}

function checkQuestion(question: unknown): void {
  for (const name of ['session', 'actor', 'tool', 'server', 'rule', 'digest']) long(question, name);
  texts(question, 'rules');
}

export function checkVerdict(verdict: unknown): void {
  if (typeof member(verdict, 'approved') !== 'boolean') throw bad('approved', verdict);
  short(verdict, 'by');
  short(verdict, 'how');
  const reach = member(verdict, 'reach');
  if (reach !== 'once' && reach !== 'session') amount(reach, 'untilMs');
}

export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

export function optional(
  value: unknown,
  name: string,
  check: (v: unknown, n: string) => void,
): void {
  if (member(value, name) !== undefined) check(value, name);
}

export function short(value: unknown, name: string): void {
  textOf(value, name, shortMax);
}

function long(value: unknown, name: string): void {
  textOf(value, name, textMax);
}

function textOf(value: unknown, name: string, max: number): void {
  const found = member(value, name);
  if (typeof found !== 'string' || found.length > max) throw bad(name, found);
}

/** A list in a message is bounded by the message. */
function list(value: unknown, name: string): readonly unknown[] {
  const found = member(value, name);
  if (!Array.isArray(found)) throw bad(name, found);
  return found as unknown[];
}

function texts(value: unknown, name: string): void {
  const found = member(value, name);
  if (!Array.isArray(found) || found.length > 32) throw bad(name, found);
  for (const place of found.keys()) textOf(found, String(place), 1_024);
}

export function amount(value: unknown, name: string): void {
  const found = member(value, name);
  if (typeof found !== 'number' || !(found >= 0)) throw bad(name, found);
}

/** The value itself may be anything, and secret. */
export function bad(name: string, value: unknown): GateError {
  return new GateError('bad_message', `a message has a bad \`${name}\` (${typeof value})`);
}
