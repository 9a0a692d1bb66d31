import { isViolation } from './filter.js';
import type { RecordView } from './record-view.js';

export type CellColour = 'red' | 'yellow' | 'dim';

export interface Cell {
  readonly text: string;
  readonly colour?: CellColour | undefined;
}

/** What a person wants to see of one record first; the order is the table's. */
export interface TableRow {
  readonly time: Cell;
  readonly seq: Cell;
  readonly type: Cell;
  readonly who: Cell;
  readonly what: Cell;
  readonly risk: Cell;
  readonly result: Cell;
  readonly call: Cell;
}

export function rowOf(view: RecordView): TableRow {
  const risk = view.text('action.risk_level') ?? '';
  return {
    time: { text: view.timestamp.replace('T', ' ').slice(0, 19) },
    seq: { text: String(view.seq) },
    type: { text: view.eventType, colour: view.eventType.startsWith('log.') ? 'dim' : undefined },
    who: { text: whoOf(view) },
    what: { text: whatOf(view) },
    risk: { text: risk, colour: riskColour(risk) },
    result: { text: resultOf(view), colour: resultColour(view) },
    call: { text: callOf(view) },
  };
}

function whoOf(view: RecordView): string {
  const id = view.text('actor.user_id');
  const name = view.text('actor.username');
  if (id !== undefined && name !== undefined && id !== name) return `${name} (${id})`;
  return id ?? name ?? view.text('actor.agent') ?? '';
}

/** The tool, command or resource; for records without one, their details. */
function whatOf(view: RecordView): string {
  const tool = view.text('action.tool');
  const command = view.text('action.command');
  const resource = view.text('action.resource');
  const named = [tool, command, resource].filter((text) => text !== undefined).join(' ');
  if (tool !== undefined) {
    const given = view.text('action.arguments');
    return given === undefined ? named : `${named} ${given}`;
  }
  return named === '' ? (view.pairs('details') ?? '') : named;
}

/** The phase and the decision of an intent; how it went for an outcome. */
function resultOf(view: RecordView): string {
  const parts: string[] = [];
  const phase = view.text('action.phase');
  if (phase === 'intent') parts.push('intent');
  if (view.flag('action.allowed') === false) parts.push('denied');
  else if (view.flag('action.approved') === true) parts.push('approved');
  const success = view.flag('result.success');
  const status =
    view.text('result.status') ?? (success === undefined ? undefined : success ? 'ok' : 'failed');
  if (status !== undefined) parts.push(status);
  const exitCode = view.number('result.exit_code');
  if (exitCode !== undefined && exitCode !== 0) parts.push(`exit ${exitCode}`);
  const signal = view.text('result.signal');
  if (signal !== undefined) parts.push(signal);
  const ms = view.number('result.duration_ms');
  if (ms !== undefined) parts.push(durationText(ms));
  const rule = view.text('security.rule');
  if (rule !== undefined) parts.push(`[${rule}]`);
  const said = view.text('result.error') ?? view.text('security.reason');
  return said === undefined ? parts.join(' ') : `${parts.join(' ')}: ${said}`;
}

function durationText(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)}ms` : `${Math.round(ms / 1000)}s`;
}

function resultColour(view: RecordView): CellColour | undefined {
  if (isViolation(view)) return 'red';
  return view.flag('result.success') === false ? 'yellow' : undefined;
}

function riskColour(risk: string): CellColour | undefined {
  if (risk === 'critical' || risk === 'high') return 'red';
  return risk === 'medium' ? 'yellow' : undefined;
}

/** The end of a call id: enough to see which rows belong together, and to find the rest of it. */
function callOf(view: RecordView): string {
  const id = view.text('call_id') ?? '';
  return id.length <= 8 ? id : `…${id.slice(-7)}`;
}
