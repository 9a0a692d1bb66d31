import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { allPinnedToolsMax, Pins, pinnedToolsMax } from './pins.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pins-'));
  path = join(folder, 'pins.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function kept(): Pins {
  const pins = new Pins();
  pins.keepIn(path);
  return pins;
}

const a = { name: 'a', hash: '1' };
const b = { name: 'b', hash: '2' };

test('pins outlive the process, and so does what was seen and not accepted', () => {
  expect(kept().see('s', [a, b], true).states).toEqual(['first', 'first']);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(kept().see('s', [{ name: 'a', hash: '9' }, b], true).states).toEqual([
    { was: '1' },
    'same',
  ]);
  const pins = kept();
  expect(pins.accept('s', 'a')).toBe(true);
  expect(pins.accept('s', 'a')).toBe(false);
  expect(pins.accept('s', 'b')).toBe(false);
  expect(pins.accept('s', 'none', '3')).toBe(false);
  expect(
    kept().see(
      's',
      [
        { name: 'a', hash: '9' },
        { name: 'c', hash: '3' },
      ],
      true,
    ).states,
  ).toEqual(['same', 'added']);
  expect(readdirSync(folder)).toEqual(['pins.json']);
});

test('until a list was seen to its end, its tools are seen first', () => {
  const pins = kept();
  expect(pins.see('s', [a], false).states).toEqual(['first']);
  expect(kept().see('s', [b], true).states).toEqual(['first']);
  expect(kept().see('s', [{ name: 'c', hash: '3' }], false).states).toEqual(['added']);
  expect(kept().see('other', [a], true).states).toEqual(['first']);
});

test('a tool that is gone is listed no more and stays pinned', () => {
  kept().see('s', [a, b], true);
  kept().gone('s', ['a', 'unknown']);
  expect(kept().list('s', 0)).toEqual({ tools: [b], total: 1 });
  expect(kept().see('s', [{ name: 'a', hash: '8' }], true)).toEqual({
    states: [{ was: '1' }],
    present: 2,
  });
});

test.each([
  ['{"version":1,"servers":['],
  ['{"version":2,"servers":[]}'],
  ['{"version":1,"servers":[{}]}'],
  ['null'],
])('a file that cannot be read is no empty one: %s', (text) => {
  writeFileSync(path, text);
  expect(() => kept().see('s', [a], true)).toThrow(/pins\.json cannot be read .*move it away/);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('what cannot be kept is not answered, and is kept later', () => {
  const pins = kept();
  rmSync(folder, { recursive: true });
  expect(() => pins.see('s', [a], true)).toThrow(/cannot be kept/);
  expect(() => pins.see('s', [a], true)).toThrow(/cannot be kept/);
});

test('only so many tools of a server are pinned, and of too many servers the oldest go', () => {
  const pins = new Pins();
  const many = Array.from({ length: pinnedToolsMax + 1 }, (_, i) => ({ name: `t${i}`, hash: '1' }));
  expect(pins.see('s0', many, true).states.at(-1)).toBe('unpinned');
  const servers = allPinnedToolsMax / pinnedToolsMax;
  for (let i = 1; i < servers; i++) pins.see(`s${i}`, many, true);
  expect(pins.see('s0', many.slice(0, 1), false).states).toEqual(['same']);
  pins.see('new', [a], true);
  expect(pins.see('s1', [a], false).states).toEqual(['first']);
  expect(pins.see('s0', many.slice(0, 1), false).states).toEqual(['same']);
  expect(pins.see('t', [{ name: 'x'.repeat(257), hash: '1' }], true).states).toEqual(['unpinned']);
});

test('names are told in messages that are not too long', () => {
  const pins = new Pins();
  const many = Array.from({ length: 900 }, (_, i) => ({
    name: '\u0001'.repeat(200) + i,
    hash: '1'.repeat(64),
  }));
  pins.see('s', many, true);
  const all: string[] = [];
  while (all.length < 900) {
    const { tools, total } = pins.list('s', all.length);
    expect(total).toBe(900);
    expect(JSON.stringify(tools).length).toBeLessThan(64 * 1024);
    all.push(...tools.map(({ name }) => name));
  }
  expect(new Set(all).size).toBe(900);
});
