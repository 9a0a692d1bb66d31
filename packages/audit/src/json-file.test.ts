import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { readJsonFile } from './json-file.js';
import { temporaryLog } from './testing/folders.js';

test('an object is read, no file is nothing, and anything else is damage that names the file', () => {
  const { dir } = temporaryLog();
  fs.mkdirSync(dir, { recursive: true });
  const file = path.join(dir, 'note.json');
  expect(readJsonFile(file)).toBeUndefined();
  fs.writeFileSync(file, '{"a":1}\n');
  expect(readJsonFile(file)).toEqual({ a: 1 });
  for (const text of ['', '{"a":', 'null', '[1]', '"a"']) {
    fs.writeFileSync(file, text);
    expect(() => readJsonFile(file), text).toThrow(
      expect.objectContaining({ code: 'log_damaged', message: expect.stringContaining(file) }),
    );
  }
});
