import { describe, expect, it } from 'vitest';
import { displayWidth } from './display-width.js';
import { fixtureRecord } from './fixture-record.js';
import { viewOf } from './record-view.js';
import { headerLine, layOut, rowLine } from './table.js';
import { rowOf, type TableRow } from './table-row.js';

const row = (members: Readonly<Record<string, unknown>>): TableRow =>
  rowOf(viewOf(fixtureRecord(members)));

const call = {
  actor: { user_id: 'u1', username: 'ann' },
  call_id: 'call_0195a1b2-0000-7000-8000-00000000abcd',
  action: { phase: 'outcome', tool: 'read_file', arguments: '{"path":"/a"}', risk_level: 'low' },
  result: {
    success: false,
    status: 'error',
    exit_code: 2,
    duration_ms: 12.4,
    error: 'no such file',
  },
};

function lines(rows: readonly TableRow[], width: number, fill = false): string[] {
  const layout = layOut(rows, width, fill);
  return [headerLine(layout, false), ...rows.map((each) => rowLine(each, layout, false))];
}

describe('rowOf', () => {
  it('shows an outcome: who, what, how it went', () => {
    const shown = row(call);
    expect(shown.time.text).toBe('2026-03-01 12:00:00');
    expect(shown.who.text).toBe('ann (u1)');
    expect(shown.what.text).toBe('read_file {"path":"/a"}');
    expect(shown.result.text).toBe('error exit 2 12ms: no such file');
    expect(shown.call.text).toBe('…000abcd');
  });

  it('tells an intent from an outcome and a refusal from a yes', () => {
    expect(row({ action: { phase: 'intent', tool: 'x' } }).result.text).toBe('intent');
    expect(
      row({ action: { phase: 'intent', allowed: false }, security: { rule: 'r' } }).result,
    ).toEqual({ text: 'intent denied [r]', colour: 'red' });
    expect(row({ action: { phase: 'intent', approved: true } }).result.text).toBe(
      'intent approved',
    );
    expect(row({ result: { success: true } }).result.text).toBe('ok');
  });

  it('shows a commitment as its preview and size', () => {
    const sha256 = 'ab'.repeat(32);
    const command = { preview: 'cat ', sha256, bytes: 90_000, ref: 'cnt_x' };
    expect(row({ action: { command } }).what.text).toBe(
      'cat … (90000 bytes, sha256 abababababab…)',
    );
  });

  it('shows the details where there is no tool, command or resource', () => {
    expect(
      row({ event_type: 'log.epoch', details: { reason: 'time', a: [1], b: null } }).what.text,
    ).toBe('reason=time a=[1] b=null');
  });
});

describe('the table', () => {
  it.each([37, 40, 60, 80, 100, 120, 250])('is never wider than %i columns', (width) => {
    const rows = [row(call), row({ seq: 123_456, action: { command: '漢字'.repeat(500) } })];
    for (const fill of [false, true]) {
      for (const line of lines(rows, width, fill)) {
        expect(displayWidth(line.trimEnd())).toBeLessThanOrEqual(width);
      }
    }
  });

  it('keeps sequence number, person, action and result on a narrow terminal', () => {
    const [header = ''] = lines([row(call)], 40);
    expect(header).toMatch(/SEQ +WHO +WHAT +RESULT/);
    expect(lines([row(call)], 120)[0]).toMatch(/TIME.*SEQ.*TYPE.*WHO.*WHAT.*RISK.*RESULT.*CALL/);
  });

  it('lets no record forge the terminal or another row', () => {
    const evil = 'x\x1b[2J\n2026-03-01 12:00:00  8  ok\r\u202eevil\u2066';
    const hostile = row({
      event_type: evil,
      session_id: evil,
      call_id: evil,
      timestamp: evil,
      actor: { user_id: evil },
      action: { tool: evil, risk_level: evil },
      result: { status: evil, error: evil },
    });
    const printed = lines([hostile], 200).join('');
    expect(printed.split('\n')).toHaveLength(3);
    expect(printed.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('lines up the columns under their titles', () => {
    const [header = '', first = '', second = ''] = lines(
      [row(call), row({ ...call, seq: 10_000 })],
      120,
    );
    const at = header.indexOf('TYPE');
    expect(first.slice(at, at + 4)).toBe('tool');
    expect(second.slice(at, at + 4)).toBe('tool');
  });

  it('has colour only when asked', () => {
    const rows = [row({ action: { allowed: false } })];
    const layout = layOut(rows, 120);
    expect(rowLine(rows[0] ?? row({}), layout, true)).toContain('\x1b[31m');
    expect(rowLine(rows[0] ?? row({}), layout, false)).not.toContain('\x1b');
  });
});
