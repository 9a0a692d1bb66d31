import { GateError } from '../errors.js';
import type { Approval, Pending, Reach } from './approvals.js';
import type { BreakerWhy } from './breaker.js';
import type { BucketsView } from './buckets-view.js';
import { amount, bad, member, optional, type StateError, short } from './message.js';

/**
 * What an operator asks the holder of the gates' state: one line of JSON on a connection, and one line back.
 */
export interface OperatorExchanges {
  /** What waits for an answer, and what was approved; long texts are cut. */
  approvals: [object, ApprovalsView];
  /** One question, whole. */
  question: [{ id: string }, { pending?: Pending | undefined; gates: readonly number[] }];
  /** No approval in the answer: the question is not there any more. */
  decide: [
    { id: string; approved: boolean; reach: Reach; by: string },
    { approval?: Approval | undefined },
  ];
  /** Takes back all approvals that are in force. */
  revoke: [object, { revoked: number }];
  limits: [object, LimitsView];
  /** Makes the buckets of a limit full and lets a session go on; all of both where none is named. */
  reset: [
    { limit?: string | undefined; session?: string | undefined },
    { limits: number; sessions: number },
  ];
}

export interface Stopped {
  readonly session: string;
  readonly why: BreakerWhy;
  readonly retryAfterMs?: number | undefined;
}

export interface ApprovalsView {
  /** The processes that have a gate. */
  readonly gates: readonly number[];
  readonly pending: readonly Pending[];
  readonly approvals: readonly Approval[];
  /** How many there are, of which the view may hold fewer. */
  readonly pendingCount: number;
  readonly approvalsCount: number;
}

export interface LimitsView extends BucketsView {
  readonly gates: readonly number[];
  readonly stopped: readonly Stopped[];
  readonly stoppedCount: number;
}

export type OperatorOp = keyof OperatorExchanges;
export type OperatorAsk<O extends OperatorOp> = OperatorExchanges[O][0];
export type OperatorAnswer<O extends OperatorOp> = OperatorExchanges[O][1];
export type OperatorRequest = {
  [O in OperatorOp]: { readonly op: O } & OperatorAsk<O>;
}[OperatorOp];
export type OperatorReply = OperatorAnswer<OperatorOp> | { readonly error: StateError };

/** Of a request. */
export const requestBytesMax = 8 * 1024;
/** Of an answer; what lists something lists so much of it that this is kept. */
export const replyBytesMax = 16 * 1024 * 1024;

const checks: Readonly<Record<OperatorOp, (value: unknown) => void>> = {
  approvals: () => undefined,
  question: (value) => short(value, 'id'),
  decide: (value) => {
    short(value, 'id');
    if (typeof member(value, 'approved') !== 'boolean') throw bad('approved', value);
    short(value, 'by');
    const reach = member(value, 'reach');
    if (reach !== 'once' && reach !== 'session') amount(reach, 'untilMs');
  },
  revoke: () => undefined,
  limits: () => undefined,
  reset: (value) => {
    optional(value, 'limit', short);
    optional(value, 'session', short);
  },
};

/** @throws GateError `bad_message` */
export function readRequest(line: string): OperatorRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new GateError('bad_message', 'a request is no JSON', { cause });
  }
  const op = member(value, 'op');
  if (typeof op !== 'string' || !Object.hasOwn(checks, op)) throw bad('op', op);
  checks[op as OperatorOp](value);
  return value as OperatorRequest;
}
