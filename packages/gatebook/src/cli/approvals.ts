import { type AskedRules, otherRules } from '../gate/asked-rules.js';
import { actorText } from '../gate/call-text.js';
import { spanText } from '../gate/events.js';
import { personName } from '../gate/person.js';
import type { Approval, Pending } from '../gate/state/approvals.js';
import type { ApprovalsView } from '../gate/state/operator-message.js';
import { nothingWaits } from './approve.js';
import { writeStdout } from './destination.js';
import { CliError } from './failure.js';
import { recorded, requireTerminal, requireUngated, type Seen, seen } from './operator.js';
import type { Places } from './places.js';
import { plainTable } from './plain-table.js';
import { counted, say } from './talk.js';
import { confirmed } from './terminal-question.js';

/** `gatebook approve --list`: what waits for an answer, and which approvals are in force. */
export async function listApprovals(places: Places, json: boolean): Promise<number> {
  const found = await seen(places, 'approvals', {});
  const { kept, answer } = found;
  if (json) await writeStdout(`${JSON.stringify(jsonOf(found))}\n`);
  else if (answer === undefined) say(nothingWaits(places, kept));
  else await writeStdout(textOf(answer));
  return 0;
}

/** `gatebook approve --revoke`: no approval is in force any more. */
export async function revokeApprovals(places: Places): Promise<number> {
  requireTerminal('gatebook approve');
  const { kept, answer: found } = await seen(places, 'approvals', {});
  requireUngated(found?.gates ?? [], 'gatebook approve');
  if (found === undefined) throw new CliError(1, nothingWaits(places, kept));
  const many = counted(found.approvalsCount, 'approval');
  if (!(await confirmed(`Take back ${many}? [y/N] `))) return 1;
  const event = {
    eventType: 'gate.approvals_revoked',
    details: { by: personName(), approvals: found.approvalsCount },
  } as const;
  const answer = await recorded(places, event, ({ decide }) => decide('revoke', {}));
  if (answer === undefined) {
    throw new CliError(1, 'none was taken back, though it was recorded; try again');
  }
  say(`${counted(answer.revoked, 'approval')} taken back, and recorded`);
  return 0;
}

function jsonOf({ kept, answer: found }: Seen<'approvals'>): unknown {
  return {
    kept,
    pending: found?.pending.map(pendingJson) ?? [],
    pending_count: found?.pendingCount ?? 0,
    approvals: found?.approvals.map(approvalJson) ?? [],
    approvals_count: found?.approvalsCount ?? 0,
  };
}

function pendingJson(pending: Pending): unknown {
  const { id, session, tool, server, rule, rules, digest, risk, reasons } = pending;
  const { text, bytes, pid, askedMs } = pending;
  return {
    ...{
      id,
      session,
      actor: actorText(pending.actor),
      tool,
      server,
      rule,
      rules,
      risk,
      reasons,
      pid,
    },
    arguments_beginning: text,
    arguments_bytes: bytes,
    arguments_sha256: digest,
    asked_at: new Date(askedMs).toISOString(),
  };
}

function approvalJson({
  id,
  session,
  actor,
  tool,
  server,
  rule,
  rules,
  digest,
  reach,
  by,
  how,
  givenMs,
}: Approval): unknown {
  return {
    ...{ id, session, actor: actorText(actor), tool, server, rule, rules, by, how },
    arguments_sha256: digest,
    reach: typeof reach === 'string' ? reach : 'until',
    until: typeof reach === 'string' ? undefined : new Date(reach.untilMs).toISOString(),
    given_at: new Date(givenMs).toISOString(),
  };
}

function rulesText(asked: AskedRules): string {
  return [asked.rule, ...otherRules(asked)].join(', ');
}

const argumentsShown = 60;

function textOf({ pending, pendingCount, approvals, approvalsCount }: ApprovalsView): string {
  const now = Date.now();
  const age = (ms: number): string => spanText(Math.max(0, now - ms));
  const waiting = pending.map(({ id, askedMs, tool, risk, actor, text, ...asked }) => [
    ...[id, age(askedMs), tool, risk, rulesText(asked), actorText(actor)],
    text.length > argumentsShown ? `${text.slice(0, argumentsShown)}…` : text,
  ]);
  const given = approvals.map(({ id, givenMs, tool, actor, reach, by, ...asked }) => [
    ...[id, age(givenMs), tool, rulesText(asked), actorText(actor)],
    typeof reach === 'string' ? reach : `until ${new Date(reach.untilMs).toISOString()}`,
    by,
  ]);
  return [
    `${counted(pendingCount, 'call waits', 'calls wait')} for an answer\n`,
    waiting.length === 0
      ? ''
      : plainTable([['ID', 'SINCE', 'TOOL', 'RISK', 'RULE', 'ACTOR', 'ARGUMENTS'], ...waiting]),
    `${counted(approvalsCount, 'approval')} in force\n`,
    given.length === 0
      ? ''
      : plainTable([['ID', 'SINCE', 'TOOL', 'RULE', 'ACTOR', 'REACH', 'BY'], ...given]),
  ].join('');
}
