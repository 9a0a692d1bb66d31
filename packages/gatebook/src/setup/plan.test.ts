import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ClientFile, readClientFile } from './client-file.js';
import { clientNamed } from './clients.js';
import { applyEdits, diffText, type Edit } from './edits.js';
import { planUnwiring, planWiring } from './plan.js';

const client = clientNamed('cursor');
const front = [process.execPath, import.meta.filename, 'mcp', '--'];
// As a launcher is told by its name.
front[1] = '/gone/bin/gatebook.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatebook-plan-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function parsed(text: string): ClientFile {
  const path = join(folder, 'm.json');
  writeFileSync(path, text);
  return readClientFile(path, '');
}

const space = fc.constantFrom('', ' ', '\n', '\r\n\t', ' /* , "command": "x" */ ', ' // ]}\n');
const word = fc.oneof(
  fc.string(),
  fc.constantFrom('--', 'mcp', 'gatebook', 'C:\\Program Files\\x', '%APPDATA%', '-y', ''),
);
const quoted = word.map((text) => JSON.stringify(text));
const command = quoted.filter((text) => text !== '""');

/** `a<space>,<space>b`, also with a comma at the end. */
function joined(items: readonly string[], gaps: readonly string[], last: boolean): string {
  const gap = (at: number): string => gaps[at % gaps.length] ?? '';
  const inner = items.map((item, at) => `${gap(at)}${item}${gap(at + 1)}`).join(',');
  return last && items.length > 0 ? `${inner},` : inner;
}

const gaps = fc.array(space, { minLength: 1, maxLength: 5 });
const list = fc
  .tuple(fc.array(quoted, { maxLength: 4 }), gaps, fc.boolean())
  .map(([words, between, last]) => `[${joined(words, between, last)}]`);
const entry = fc
  .record({ command, args: fc.option(list, { nil: undefined }), gaps, last: fc.boolean() })
  .chain(({ command: own, args, gaps: between, last }) => {
    const members = [`"command":${own}`, '"env":{"K":"v"}', '"x":[1,{"args":[]}]'];
    if (args !== undefined) members.push(`"args":${args}`);
    return fc
      .shuffledSubarray(members, { minLength: members.length })
      .map((each) => `{${joined(each, between, last)}}`);
  });
const file = fc
  .tuple(fc.array(entry, { minLength: 1, maxLength: 4 }), gaps, fc.boolean())
  .map(([entries, between, last]) => {
    const members = entries.map((each, at) => `"s${at}":${each}`);
    return `{"a":1,"mcpServers":{${joined(members, between, last)}}}`;
  });

function wordsIn(each: ClientFile): unknown[] {
  const plan = planWiring(each, client, front);
  return plan.fates.map(({ server: { what } }) => what.kind === 'started' && what.words);
}

it('however a file is written: wired, every server has the gate in front; unwired, it is as before', () => {
  fc.assert(
    fc.property(file, (text) => {
      const before = parsed(text);
      const plan = planWiring(before, client, front);
      const fresh = plan.fates.map(({ state }) => state === 'wired');
      const after = parsed(applyEdits(before.text, plan.edits));
      const expected = wordsIn(before).map((words, at) =>
        fresh[at] ? [...front, ...(words as string[])] : words,
      );
      expect(wordsIn(after)).toEqual(expected);
      fc.pre(fresh.every(Boolean));
      const back = (backups: readonly ClientFile[]): string =>
        applyEdits(after.text, planUnwiring(after, client, backups).edits);
      expect(back([before])).toBe(text);
      expect(wordsIn(parsed(back([])))).toEqual(wordsIn(before));
    }),
    { numRuns: 100 },
  );
});

it('a diff names lines by number on both sides, and joins neighbours', () => {
  const text = 'a\nb\nc\nd\ne\n';
  const edits: Edit[] = [
    { offset: 8, length: 1, text: 'E' },
    { offset: 0, length: 1, text: 'A\nA' },
    { offset: 2, length: 1, text: 'B' },
  ];
  expect(diffText('f', text, edits)).toBe(
    '--- f\n+++ f\n@@ -1,2 +1,3 @@\n-a\n-b\n+A\n+A\n+B\n@@ -5 +6 @@\n-e\n+E\n',
  );
  expect(diffText('f', text, [])).toBe('');
});
