import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readClientFile } from './client-file.js';
import { backUp, backupNames, replaceClientFile } from './replacing.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatebook-replacing-'));
  path = join(folder, 'm.json');
  writeFileSync(path, '{}');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('a file that its client wrote meanwhile is not replaced, and nothing is left behind', () => {
  const file = readClientFile(path, '');
  writeFileSync(path, '{"written":"meanwhile"}');
  expect(() => replaceClientFile(file, Buffer.from('{"ours":1}'))).toThrow('changed meanwhile');
  expect(readFileSync(path, 'utf8')).toBe('{"written":"meanwhile"}');
  expect(readdirSync(folder)).toEqual([basename(path)]);
});

it('backups are bounded, and none is overwritten', () => {
  const file = readClientFile(path, '');
  const names = backupNames(file.path);
  for (const name of names) writeFileSync(name, 'other');
  expect(() => backUp(file)).toThrow(`${names.length} backups`);
  for (const name of names) expect(readFileSync(name, 'utf8')).toBe('other');
  rmSync(names[2]!);
  expect(backUp(file)).toBe(names[2]);
  expect(readFileSync(names[2]!, 'utf8')).toBe('{}');
  // One with the same bytes will do.
  rmSync(names[0]!);
  writeFileSync(names[0]!, '{}');
  expect(backUp(file)).toBe(names[0]);
  expect(dirname(names[0]!)).toBe(dirname(file.path));
});
