import { expect, test } from 'vitest';
import { displayWidth } from '../cli/display-width.js';
import { actorText, callText, type ShownCall } from './call-text.js';

const call: ShownCall = {
  id: '0123456789',
  session: 'ses_1',
  actor: '["desk","ann",null]',
  tool: 'fs/write_file',
  server: 'command:c0ffee',
  rule: 'ask tool:*',
  rules: ['ask tool:*', 'path-ssh'],
  digest: 'd'.repeat(64),
  risk: 'high',
  reasons: ['it writes', 'at night'],
  text: '{"path":"a","text":"b"}',
  bytes: 23,
  pid: 4_242,
  askedMs: 1_000,
};

test('a person sees every digit of a number', () => {
  const text = '{"n":9007199254740993,"m":1e999}';
  const lines = callText({ ...call, text }, 100, 1_000).split('\n');
  expect(lines.slice(1, 3)).toEqual(['  |   "n": 9007199254740993,', '  |   "m": 1e999']);
});

test('a person sees the whole call', () => {
  expect(callText(call, 100, 13_500)).toBe(
    [
      '  | {',
      '  |   "path": "a",',
      '  |   "text": "b"',
      '  | }',
      'approval   0123456789',
      'tool       fs/write_file',
      'server     command:c0ffee',
      'actor      user ann, channel desk',
      'session    ses_1',
      'rule       ask tool:*',
      'rule       path-ssh',
      'risk       high',
      'reason     it writes',
      'reason     at night',
      'asked by   process 4242, 13 s ago',
      `arguments  23 bytes, SHA-256 ${'d'.repeat(64)}`,
      '',
    ].join('\n'),
  );
});

test('nothing in a call acts on the terminal or passes for a line of ours', () => {
  const evil = `\x1b[2J\rrisk       low\n\u202e\x9b31m${'\u3000'.repeat(200)}risk  low`;
  const facts = {
    tool: evil,
    server: evil,
    session: evil,
    rule: evil,
    rules: [evil, `x${evil}`],
    risk: evil,
    reasons: [evil],
    id: evil,
  };
  for (const text of [JSON.stringify({ [evil]: evil }), `{"cut": "${evil}`]) {
    const shown = callText({ ...call, ...facts, actor: evil, text }, 60);
    expect(shown.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
    for (const line of shown.split('\n').slice(0, -1)) {
      expect(line).toMatch(/^( {2}\| | {9}\| |[a-z ]{9} {2})/);
      expect(line).not.toMatch(/^risk +low/);
      expect(displayWidth(line)).toBeLessThanOrEqual(60);
    }
  }
});

test('arguments that are not shown whole are said to be cut', () => {
  const shown = callText({ ...call, text: '{"path":"é', bytes: 90_000 }, 200);
  expect(shown).toContain('90000 bytes');
  expect(shown).toContain('only the first 11 are shown above');
});

test('an actor is told by what is known of it', () => {
  expect(actorText('["desk","ann","claude"]')).toBe('user ann, agent claude, channel desk');
  expect(actorText('[null,null,null]')).toBe('nobody named');
  expect(actorText('x')).toBe('x');
});
