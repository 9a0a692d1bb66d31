import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { commandText } from './command-text.js';

test('a shell reads the text as the same words', () => {
  const words = [
    'a',
    '',
    "it's",
    'b c',
    '$HOME',
    '`x`',
    '\\',
    '"',
    '*',
    '~',
    'é',
    'new\nline',
    '--x=1',
  ];
  const text = commandText(words);
  const read = execFileSync('sh', ['-c', `for w in ${text}; do printf '%s\\0' "$w"; done`]);
  expect(read.toString().split('\0').slice(0, -1)).toEqual(words);
  expect(commandText(['ls', '-l', '/tmp'])).toBe('ls -l /tmp');
});
