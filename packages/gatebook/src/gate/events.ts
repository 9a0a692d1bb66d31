import type { AuditEvent, EventType, JsonObject, Security } from '@gatebook/audit';
import type { Decision } from '@gatebook/policy';
import type { Approval, Pending } from './state/approvals.js';
import type { BreakerOpen } from './state/breaker.js';
import type { LimitAnswer } from './state/message.js';

/** The records of what a gate does with a call, each made of the intent that would have been recorded of it. */

/** A call that was refused, in the place of its intent. */
function refusal(
  intent: AuditEvent,
  eventType: EventType,
  security: Security,
  details: JsonObject = {},
): AuditEvent {
  const { phase: _, ...action } = intent.action ?? {};
  return {
    ...intent,
    eventType,
    action: { ...action, allowed: false },
    result: { success: false, status: 'refused' },
    security: { ...intent.security, ...security },
    details: { ...intent.details, ...details },
  };
}

export function deniedEvent(intent: AuditEvent, { risk, rule, reasons }: Decision): AuditEvent {
  const rated = { ...intent, action: { ...intent.action, riskLevel: risk } };
  const reason = reasons.join('; ').slice(0, reasonCharsMax).toWellFormed();
  return refusal(rated, 'policy_violation', {
    policyViolation: true,
    rule,
    ...(reason === '' ? {} : { reason }),
  });
}

const reasonCharsMax = 2_000;

/** A call that cannot be judged by its arguments. */
export function badArgumentsEvent(intent: AuditEvent, reason: string): AuditEvent {
  const security = { policyViolation: true, rule: 'gate.arguments', reason };
  return refusal(intent, 'policy_violation', security);
}

/** A person said no, or there is no answer yet. */
export function unapprovedEvent(
  intent: AuditEvent,
  { risk, rule }: Decision,
  reason: string,
  id: string,
): AuditEvent {
  const rated = { ...intent, action: { ...intent.action, riskLevel: risk, approved: false } };
  return refusal(
    rated,
    'policy_violation',
    { policyViolation: true, rule, reason },
    { approval: id },
  );
}

export function stoppedEvent(
  intent: AuditEvent,
  { why, bound, retryAfterMs }: BreakerOpen,
  refused: number,
): AuditEvent {
  const details = {
    bound,
    refused,
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: Math.round(retryAfterMs) }),
  };
  const security = {
    policyViolation: true,
    rule: `breaker.${why}`,
    reason: stoppedText(why, bound),
  };
  return refusal(intent, 'security_event', security, details);
}

export function stoppedText(why: BreakerOpen['why'], bound: number): string {
  switch (why) {
    case 'identical_calls':
      return `more than ${bound} identical calls in a row`;
    case 'failures':
      return `${bound} failed calls in a row`;
    case 'calls':
      return `more than ${bound} calls in this session`;
    case 'wall_time':
      return `the session has lasted longer than ${Math.round(bound / 1000)} s`;
  }
}

/** For the model, which can act on it: which limit, and when to come back. */
export function limitText({ by, limit, retryAfterMs, reason }: LimitAnswer): string {
  const what = `limit \`${by}\` (${limit ?? 'any number'} at once)`;
  if (reason === 'store') {
    const when = retryAfterMs === null ? 'later' : `in ${spanText(Math.max(retryAfterMs, 1_000))}`;
    return `${what} cannot be counted, for what counts it does not answer; retry ${when}`;
  }
  if (reason === 'never') return `${what} never lets this through`;
  if (retryAfterMs === null) return `${what} is used up, retry later`;
  return `${what} is used up, retry in ${spanText(retryAfterMs)}`;
}

export function spanText(ms: number): string {
  return ms < 1_000 ? `${Math.ceil(ms)} ms` : `${Math.ceil(ms / 1_000)} s`;
}

/** A call that a limit refused. */
export function limitedEvent(intent: AuditEvent, answer: LimitAnswer): AuditEvent {
  const { by, limit, remaining, retryAfterMs, reason } = answer;
  return refusal(
    intent,
    'rate_limit_hit',
    {
      policyViolation: true,
      rule: `limit.${by}`,
      reason: limitText(answer),
      ...(remaining === null ? {} : { rateLimitRemaining: remaining }),
    },
    {
      ...(limit === null ? {} : { limit }),
      limit_reason: reason,
      ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }),
    },
  );
}

/** A call that was given up while it waited for a limit or for a person. */
export function givenUpEvent(
  intent: AuditEvent,
  waitedFor: 'limit' | 'approval',
  reason: string,
): AuditEvent {
  return waitedFor === 'limit'
    ? refusal(
        intent,
        'rate_limit_hit',
        { rule: 'limit.wait', reason },
        { limit_reason: 'given_up' },
      )
    : refusal(intent, 'policy_violation', { rule: 'approval.withdrawn', reason });
}

/** What the gates share cannot be asked, so nothing can be decided. */
export function undecidedEvent(intent: AuditEvent, reason: string): AuditEvent {
  return refusal(intent, 'security_event', { policyViolation: true, rule: 'gate.state', reason });
}

/** A person is asked. */
export function askedEvent(
  intent: AuditEvent,
  { risk, rule }: Decision,
  rules: readonly string[],
  id: string,
): AuditEvent {
  const { phase: _, ...action } = intent.action ?? {};
  return {
    ...intent,
    eventType: 'gate.approval_requested',
    action: { ...action, riskLevel: risk },
    security: { ...intent.security, rule },
    details: { ...intent.details, approval: id, ...severalOf(rules) },
  };
}

/** One rule stands in `security` already. */
function severalOf(rules: readonly string[]): JsonObject {
  return rules.length > 1 ? { rules: [...rules] } : {};
}

/** A person has answered. */
export function answeredEvent(
  question: Pick<Pending, 'session' | 'tool' | 'rule' | 'rules' | 'digest' | 'askedMs'>,
  { id, approved, reach, by, how, givenMs }: Approval,
  frame: Pick<AuditEvent, 'actor' | 'callId' | 'source'> = {},
): AuditEvent {
  return {
    eventType: 'gate.approval',
    ...frame,
    sessionId: question.session,
    action: { tool: question.tool, approved },
    security: { rule: question.rule },
    details: {
      approval: id,
      by,
      how,
      reach: typeof reach === 'string' ? reach : 'until',
      ...(typeof reach === 'string' ? {} : { until: new Date(reach.untilMs).toISOString() }),
      ...severalOf(question.rules),
      arguments_sha256: question.digest,
      waited_ms: Math.max(0, Math.round(givenMs - question.askedMs)),
    },
  };
}

/** An answer that was recorded and then had no effect, for nobody waited for it any more. */
export function voidedEvent(
  question: Parameters<typeof answeredEvent>[0],
  answer: Approval,
  reason: string,
  frame: Pick<AuditEvent, 'actor' | 'callId' | 'source'> = {},
): AuditEvent {
  const event = answeredEvent(question, answer, frame);
  return {
    ...event,
    action: { ...event.action, approved: false },
    result: { success: false, status: 'void', error: reason },
  };
}

/** The intent with what the gate found on the way. */
export function admittedEvent(
  intent: AuditEvent,
  decision: Decision | undefined,
  remaining: number | null,
  approval: string | undefined,
  notEnforced: readonly string[],
): AuditEvent {
  return {
    ...intent,
    action: {
      ...intent.action,
      ...(decision === undefined ? {} : { riskLevel: decision.risk }),
      ...(approval === undefined ? {} : { approved: true }),
    },
    security: {
      ...intent.security,
      // Where nothing speaks of it, the level of risk says all.
      ...(decision === undefined || decision.rule === 'risk' ? {} : { rule: decision.rule }),
      ...(remaining === null ? {} : { rateLimitRemaining: remaining }),
      ...(notEnforced.length === 0 ? {} : { notEnforced }),
    },
    details: {
      ...intent.details,
      ...(approval === undefined ? {} : { approval }),
    },
  };
}
