import type { VerifyReport } from '@gatebook/audit';
import { describe, expect, it } from 'vitest';
import { reportJson, reportText } from './verify-text.js';

const ok: VerifyReport = {
  verdict: 'ok',
  level: 'public',
  origin: 'host/gatebook/00',
  records: 1234,
  size: 1230,
  pending: 4,
  segments: 1,
  epochs: 1,
  forwardSecurity: { on: false, initialKeyFile: 'initial-hmac-key' },
  pruned: [],
  findings: [],
  unfinishedBytes: 0,
};
const style = { evidence: [], strictFailed: false, colour: false };

describe('reportText', () => {
  it('says of an ok log how far and how deep it was checked', () => {
    const [first, ...rest] = reportText(ok, style).split('\n');
    expect(first).toBe(
      'ok: 1,234 records, everything up to size 1,230 checked at level public; 4 pending; forward security off: move initial-hmac-key off this host',
    );
    expect(rest).toEqual(['checked against nothing but the log itself', '']);
  });

  it('names the place of the finding that decided, then the others', () => {
    const findings: VerifyReport['findings'] = [
      { kind: 'record', reason: 'its leaf is another', segment: '0.jsonl', seq: 4, offset: 2137 },
      { kind: 'range', reason: 'missing', range: [5, 9] },
      { kind: 'tile', reason: 'wrong', file: 'tile/0/000' },
    ];
    const lines = reportText({ ...ok, verdict: 'tampered', findings }, style).split('\n');
    expect(lines.slice(0, 4)).toEqual([
      'tampered: segment 0.jsonl, seq 4, byte offset 2137: its leaf is another (record)',
      '  records 5 to 8: missing (range)',
      '  file tile/0/000: wrong (tile)',
      '  1,234 records read at level public; forward security off: move initial-hmac-key off this host',
    ]);
  });

  it('never says how much of a log holds that is not ok', () => {
    for (const verdict of ['tampered', 'truncated', 'rolled_back', 'unverifiable'] as const) {
      expect(reportText({ ...ok, verdict }, style)).not.toContain('everything');
    }
  });

  it('lists twenty findings and counts the rest', () => {
    const findings = Array.from({ length: 30 }, () => ({ kind: 'tile' as const, reason: 'wrong' }));
    const text = reportText({ ...ok, verdict: 'tampered', findings }, style);
    expect(text.match(/wrong/g)).toHaveLength(21);
    expect(text).toContain('and 9 more findings');
  });

  it('lets a log forge neither the verdict nor the terminal', () => {
    const evil = 'x\nok: 9 records\x1b[2J\u202e';
    const report = {
      ...ok,
      verdict: 'tampered' as const,
      findings: [{ kind: 'record' as const, reason: evil, segment: evil, file: evil }],
      forwardSecurity: { on: false, initialKeyFile: evil },
    };
    const text = reportText(report, { ...style, evidence: [{ kind: 'checkpoint', file: evil }] });
    expect(text).not.toMatch(/^ok/m);
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('says why --strict fails an ok log', () => {
    expect(reportText(ok, { ...style, strictFailed: true })).toContain(
      '--strict: 4 pending records',
    );
  });
});

describe('reportJson', () => {
  it('is one line that holds everything', () => {
    const text = reportJson(ok);
    expect(text.indexOf('\n')).toBe(text.length - 1);
    expect(JSON.parse(text)).toMatchObject({ verdict: 'ok', size: 1230, unfinished_bytes: 0 });
  });
});
