import { stringify } from 'csv-stringify/sync';
import type { RecordView } from './record-view.js';
import { visible } from './visible.js';

/** Column name → path in the record. */
const columns: readonly (readonly [string, string])[] = [
  ['seq', 'seq'],
  ['timestamp', 'timestamp'],
  ['event_id', 'event_id'],
  ['event_type', 'event_type'],
  ['emitter', 'emitter'],
  ['channel', 'actor.channel'],
  ['user_id', 'actor.user_id'],
  ['username', 'actor.username'],
  ['agent', 'actor.agent'],
  ['ip', 'actor.ip'],
  ['session_id', 'session_id'],
  ['call_id', 'call_id'],
  ['source', 'source'],
  ['phase', 'action.phase'],
  ['tool', 'action.tool'],
  ['command', 'action.command'],
  ['resource', 'action.resource'],
  ['arguments', 'action.arguments'],
  ['risk_level', 'action.risk_level'],
  ['approved', 'action.approved'],
  ['allowed', 'action.allowed'],
  ['continues', 'action.continues'],
  ['success', 'result.success'],
  ['status', 'result.status'],
  ['exit_code', 'result.exit_code'],
  ['signal', 'result.signal'],
  ['duration_ms', 'result.duration_ms'],
  ['error', 'result.error'],
  ['output', 'result.output'],
  ['policy_violation', 'security.policy_violation'],
  ['rule', 'security.rule'],
  ['reason', 'security.reason'],
  ['rate_limit_remaining', 'security.rate_limit_remaining'],
  ['sandbox', 'security.sandbox'],
  ['not_enforced', 'security.not_enforced'],
  ['details', 'details'],
  ['trace_id', 'trace.trace_id'],
  ['span_id', 'trace.span_id'],
  ['epoch', 'epoch'],
  ['hash', 'hash'],
];

export const csvHeader: readonly string[] = columns.map(([name]) => name);

/**
 * CSV lines (RFC 4180, but ended by a bare newline, which Unix tools need) for some records. Text that a spreadsheet would run as a formula gets an apostrophe in
 * front. On a terminal control characters are made visible; in a file they stay as they are.
 */
export function csvLines(views: readonly RecordView[], terminal: boolean): string {
  return stringify(
    views.map((view) =>
      columns.map(([, path]) => {
        const number = view.number(path);
        if (number !== undefined) return number;
        const text = view.data(path);
        return terminal && text !== undefined ? visible(text) : text;
      }),
    ),
    { escape_formulas: true },
  );
}

export function csvHeaderLine(): string {
  return stringify([[...csvHeader]]);
}
