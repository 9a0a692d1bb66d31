import type { AuditEvent } from '@gatebook/audit';
import type { Decision } from '@gatebook/policy';
import { reasonOf } from '../mcp/ledger.js';
import { askedRules } from './asked-rules.js';
import type { Asker } from './asker.js';
import { actorOf, type GateCall, nameOf, shownArguments } from './call.js';
import { GateError } from './errors.js';
import { answeredEvent, askedEvent, givenUpEvent, unapprovedEvent, voidedEvent } from './events.js';
import type { PinnedDecision } from './pin.js';
import { type Refused, refused } from './refused.js';
import type { Approval, Question, Verdict } from './state/approvals.js';
import type { StateClient } from './state/state-client.js';

export interface ApprovalParts {
  readonly book: {
    /** Records what must be on disk before something happens. Returns why it must not happen, or undefined. */
    intent(event: AuditEvent): Promise<string | undefined>;
    fact(event: AuditEvent): Promise<boolean>;
  };
  readonly state: StateClient;
  readonly ask: Asker;
}

/** Of the arguments, so many characters are shown to who is asked. */
const shownCharsMax = 16_000;

/**
 * Sees to it that a person has said yes to a call: before, or now that he is asked. Resolves with the approval, or with the refusal of
 * the call, which is recorded then.
 */
export async function ask(
  parts: ApprovalParts,
  call: GateCall,
  decision: PinnedDecision,
  digest: string,
  patienceMs: number,
): Promise<Approval | Refused> {
  const { book, state } = parts;
  const question: Question = {
    session: call.sessionId,
    actor: actorOf(call.actor),
    tool: nameOf(call),
    server: call.serverIdentity ?? '',
    ...askedRules(decision),
    digest,
  };
  const before = await state.ask('find', { question });
  if (before.approval !== undefined) return before.approval;
  const { id, unreachable } = await state.ask('ask', { question, shown: shownOf(call, decision) });
  const askedMs = Date.now();
  await book.fact(askedEvent(call.intent, decision, question.rules, id));
  call.onHold?.();
  const heard = await firstAnswer(parts, call, decision, id, patienceMs);
  const approval =
    typeof heard === 'object' && 'verdict' in heard
      ? await decided(parts, call, { ...question, id, askedMs }, heard.verdict)
      : heard;
  if (typeof approval === 'object' && 'allowed' in approval) return approval;
  if (call.signal.aborted) {
    await state.ask('withdraw', { id }).catch(() => undefined);
    const why = `${String(call.signal.reason)} while it waited for an approval`;
    await book.fact(givenUpEvent(call.intent, 'approval', why));
    return refused('cancelled', why);
  }
  if (approval === 'later') {
    return refused('approval_pending', pendingText(id, unreachable), { rule: decision.rule });
  }
  if (approval === undefined) return await pending(parts, call, decision, id, unreachable);
  if (approval.approved) return approval;
  const reason = `${approval.by} has refused it`;
  await book.fact(unapprovedEvent(call.intent, decision, reason, id));
  return refused('denied', `${reason}; do not retry it, nor the same in other words`, {
    rule: decision.rule,
  });
}

async function pending(
  { book }: ApprovalParts,
  call: GateCall,
  decision: Decision,
  id: string,
  unreachable: string | undefined,
): Promise<Refused> {
  await book.fact(unapprovedEvent(call.intent, decision, 'nobody has answered yet', id));
  return refused('approval_pending', pendingText(id, unreachable), { rule: decision.rule });
}

function pendingText(id: string, unreachable: string | undefined): string {
  const how = unreachable ?? `gatebook approve ${id}`;
  return `approval pending ${id}: a person has to approve it (${how}); once that is done the same call passes, within 10 minutes`;
}

/**
 * What this gate's own person has said takes effect: first it is in the book, as with `gatebook approve`, and nothing cuts that short any
 * more. Where it has no effect after all, the book says so, and somebody else's answer counts, if there is one.
 */
async function decided(
  { book, state }: ApprovalParts,
  call: GateCall,
  asked: Question & { readonly id: string; readonly askedMs: number },
  verdict: Verdict,
): Promise<Approval | Refused | undefined> {
  const { askedMs, ...question } = asked;
  const { id } = asked;
  const { actor, callId, source } = call.intent;
  const frame = { actor, callId, source };
  const answer: Approval = { ...question, givenMs: Date.now(), ...verdict };
  const failure = await book.intent(answeredEvent(asked, answer, frame));
  if (failure !== undefined) {
    const reason = `the answer of ${verdict.by} could not be recorded in the audit log (${failure})`;
    return refused('log_unavailable', reason);
  }
  const voided = async (reason: string): Promise<void> => {
    await book.fact(voidedEvent(asked, answer, reason, frame));
  };
  if (call.signal.aborted) {
    await voided('the call was given up meanwhile');
    return undefined;
  }
  try {
    const { approval } = await state.ask('decide', { id, verdict });
    if (approval !== undefined) return approval;
  } catch (error) {
    // It may have come through all the same.
    const { approval } = await state
      .ask('find', { question })
      .catch(() => ({ approval: undefined }));
    if (approval?.id === id) return approval;
    await voided(reasonOf(error));
    throw error;
  }
  await voided('somebody else has answered, or nobody waited for the answer any more');
  const news = await state.ask('news', { id });
  return news.state === 'decided' ? news.approval : undefined;
}

/** The first answer, whoever gives it; undefined where none comes in time. */
async function firstAnswer(
  { state, ask }: ApprovalParts,
  call: GateCall,
  decision: PinnedDecision,
  id: string,
  patienceMs: number,
): Promise<Approval | { readonly verdict: Verdict } | 'later' | undefined> {
  const over = new AbortController();
  const signal = AbortSignal.any([call.signal, over.signal]);
  const timer = setTimeout(() => over.abort(), patienceMs);
  try {
    return await Promise.race([
      byOthers(state, id, signal),
      byOwn(ask({ id, call, decision, signal }), signal),
      aborted(signal),
    ]);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

async function byOthers(
  state: StateClient,
  id: string,
  signal: AbortSignal,
): Promise<Approval | undefined> {
  while (!signal.aborted) {
    const news = await state.ask('news', { id });
    if (news.state === 'decided') return news.approval;
    if (news.state === 'gone') {
      throw new GateError('approval_pending', 'the question was lost; make the same call again');
    }
  }
  return undefined;
}

async function byOwn(
  answer: ReturnType<Asker>,
  signal: AbortSignal,
): Promise<{ readonly verdict: Verdict } | 'later' | undefined> {
  const verdict = await answer;
  // Nobody can be asked here: others may answer still.
  if (verdict === undefined) return await aborted(signal);
  if (verdict === 'nobody') return undefined;
  if (verdict === 'later') return verdict;
  return { verdict };
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function shownOf(
  call: GateCall,
  { risk, reasons }: Decision,
): { risk: string; reasons: string[]; text: string; bytes: number } {
  const text = shownArguments(call);
  return {
    risk,
    reasons: reasons.slice(0, 10).map((reason) => reason.slice(0, 500).toWellFormed()),
    text: text.slice(0, shownCharsMax).toWellFormed(),
    bytes: Buffer.byteLength(text),
  };
}
