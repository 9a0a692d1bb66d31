import { GateError } from '../errors.js';
import type { Question } from './approvals.js';
import { bucketsView } from './buckets-view.js';
import type { GateState } from './gate-state.js';
import {
  type OperatorAnswer,
  type OperatorOp,
  type OperatorReply,
  type OperatorRequest,
  readRequest,
} from './operator-message.js';

/** Of each list, the newest so many; the rest is only counted. */
export const listedMax = 1_000;
/** Of the rules of one question in a list. */
const listedRulesMax = 6;
/** Of a text in a list. */
const listedCharsMax = 256;

/** What the holder says to a line of its operator. Never throws. */
export function operatorReply(state: GateState, line: string): OperatorReply {
  try {
    return answerTo(state, readRequest(line));
  } catch (error) {
    if (error instanceof GateError) {
      return { error: { code: error.code, message: error.message, rule: error.rule } };
    }
    return { error: { code: 'state_unavailable', message: String(error) } };
  }
}

function answerTo(state: GateState, request: OperatorRequest): OperatorAnswer<OperatorOp> {
  const { approvals, breaker, limits } = state;
  switch (request.op) {
    case 'approvals':
      return approvalsView(state);
    case 'question': {
      const pending = approvals.pending().find(({ id }) => id === request.id);
      return { pending, gates: state.gates() };
    }
    case 'decide': {
      const { id, approved, reach, by } = request;
      // Whoever comes this way has recorded it: `how` is not his to choose.
      return { approval: approvals.decide(id, { approved, reach, by, how: 'command' }) };
    }
    case 'revoke':
      return { revoked: approvals.revoke() };
    case 'limits': {
      const stopped = breaker.stopped();
      return {
        ...bucketsView(limits),
        gates: state.gates(),
        stopped: stopped.slice(0, listedMax),
        stoppedCount: stopped.length,
      };
    }
    case 'reset': {
      const { limit, session } = request;
      const both = limit === undefined && session === undefined;
      return {
        limits: both || limit !== undefined ? limits.reset(limit) : 0,
        sessions: both || session !== undefined ? breaker.reset(session) : 0,
      };
    }
  }
}

function approvalsView(state: GateState): OperatorAnswer<'approvals'> {
  const pending = state.approvals.pending();
  const given = state.approvals.given();
  return {
    gates: state.gates(),
    pending: pending.slice(-listedMax).map((each) => ({
      ...each,
      ...listed(each),
      reasons: each.reasons.map(cut),
      text: cut(each.text),
    })),
    approvals: given.slice(-listedMax).map((each) => ({ ...each, ...listed(each) })),
    pendingCount: pending.length,
    approvalsCount: given.length,
  };
}

function listed({ session, actor, tool, server, rule, rules, digest }: Question): Question {
  return {
    session: cut(session),
    actor: cut(actor),
    tool: cut(tool),
    server: cut(server),
    rule: cut(rule),
    rules: cutRules(rules),
    digest: cut(digest),
  };
}

function cutRules(rules: readonly string[]): string[] {
  const shown = rules.slice(0, listedRulesMax).map(cut);
  const more = rules.length - shown.length;
  return more === 0 ? shown : [...shown, `and ${more} more`];
}

function cut(text: string): string {
  return text.slice(0, listedCharsMax).toWellFormed();
}
