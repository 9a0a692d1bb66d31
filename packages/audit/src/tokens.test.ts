import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from './testing/folders.js';
import { checkToken, matchToken, newToken, readTokenOf, readTokens } from './tokens.js';

function file(text: string, mode = 0o600): string {
  const name = path.join(temporaryFolder(), 'tokens');
  fs.writeFileSync(name, text, { mode });
  fs.chmodSync(name, mode);
  return name;
}

const bad = expect.objectContaining({ code: 'bad_token' });

test('a token proves its emitter by a file that does not hold it', () => {
  const [one, two] = [newToken('agent 1'), newToken('agent-2')];
  const name = file(`# agents\n\n${one.line}${two.line}`);
  const known = readTokens(name);
  expect(matchToken(one.token, known)?.emitter).toBe('agent 1');
  expect(matchToken(two.token, known)?.emitter).toBe('agent-2');
  expect(matchToken(`${two.token}x`, known)).toBeUndefined();
  expect(matchToken('', known)).toBeUndefined();
  expect(fs.readFileSync(name, 'utf8')).not.toContain(one.token);
  expect(new Set(Array.from({ length: 100 }, () => newToken('x').token)).size).toBe(100);
});

test('a token file that others may write, or that is not understood, lets nobody in', () => {
  const { line } = newToken('agent');
  expect(() => readTokens(file(line, 0o666))).toThrow(bad);
  expect(() => readTokens(file('agent=secret\n'))).toThrow(bad);
  expect(() => readTokens(path.join(temporaryFolder(), 'absent'))).toThrow(bad);
});

test('the log’s own name, and names that would break a line, prove nobody', () => {
  for (const name of ['log', '', ' x', 'a\nb']) {
    expect(() => newToken(name)).toThrow(expect.objectContaining({ code: 'bad_option' }));
  }
});

test('a token is read from a file of its owner’s only', () => {
  const { token } = newToken('agent');
  expect(readTokenOf(file(`${token}\n`))).toBe(token);
  expect(() => readTokenOf(file(token, 0o644))).toThrow(bad);
  expect(() => checkToken('secret')).toThrow(bad);
});
