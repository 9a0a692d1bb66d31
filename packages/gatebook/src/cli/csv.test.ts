import { describe, expect, it } from 'vitest';
import { csvHeader, csvHeaderLine, csvLines } from './csv.js';
import { fixtureRecord } from './fixture-record.js';
import { viewOf } from './record-view.js';

function cells(members: Readonly<Record<string, unknown>>, terminal = false): string {
  return csvLines([viewOf(fixtureRecord(members))], terminal);
}

describe('csv', () => {
  it('has a header with as many names as a line has cells', () => {
    expect(csvHeaderLine()).toBe(`${csvHeader.join(',')}\n`);
    expect(cells({}).split(',')).toHaveLength(csvHeader.length);
  });

  it.each([
    '=1+1',
    '+1',
    '-1+1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '＝1',
  ])('keeps a spreadsheet from running %j', (text) => {
    expect(cells({ actor: { user_id: text } })).toMatch(new RegExp(`,"?'${escapeRegExp(text)}"?,`));
  });

  it('leaves numbers numbers, negative ones too', () => {
    expect(cells({ result: { exit_code: -1 } })).toContain(',-1,');
  });

  it('quotes quotes, commas and newlines', () => {
    expect(cells({ actor: { user_id: 'a"b,c\nd' } })).toContain(',"a""b,c\nd",');
  });

  it('keeps commitments and details whole, as JSON', () => {
    const line = cells({ details: { a: [1] }, action: { command: { sha256: 'x', bytes: 3 } } });
    expect(line).toContain('"{""a"":[1]}"');
    expect(line).toContain('"{""sha256"":""x"",""bytes"":3}"');
  });

  it('shows control characters on a terminal and keeps them in a file', () => {
    const members = { actor: { user_id: 'a\x1b[2J' } };
    expect(cells(members, true)).toContain(',a\\x1b[2J,');
    expect(cells(members, false)).toContain(',a\x1b[2J,');
  });
});

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
