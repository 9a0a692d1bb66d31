import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { Answer } from './answer.js';

const run = promisify(execFile);
const main = path.join(import.meta.dirname, 'main.js');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gatebook-bench-test-'));

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await run(process.execPath, [main, ...args])) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

/** Paths of everything below a value that is no number to compare: JSON has `null` for NaN and the infinities. */
function unusable(value: unknown, at: string): string[] {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? [] : [at];
  if (value === null || value === undefined) return [at];
  if (typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, inner]) => unusable(inner, `${at}.${name}`));
}

const auditQuestions = [
  'audit-append',
  'audit-profile',
  'audit-processes',
  'audit-bytes',
  'audit-verify',
  'audit-memory',
  'audit-prove',
  'audit-open',
];
/** All are asked in a whole run; they start many processes. */
const asked =
  process.env['GATEBOOK_CONFORMANCE'] === 'full' ? ['audit'] : ['audit-append', 'audit-prove'];

test.each(
  asked,
)('a quick run of %s answers with numbers and leaves nothing behind', async (name) => {
  const { code, stdout, stderr } = await bench(name, '--quick', '--dir', folder);
  expect(code, stderr).toBe(0);
  const lines = stdout.split('\n');
  const answers = lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Answer);
  const questions = answers.map((answer) => answer.question);
  expect(questions).toEqual(name === 'audit' ? auditQuestions : [name]);
  for (const answer of answers) {
    expect(answer.tables.length, answer.question).toBeGreaterThan(0);
    const cells = answer.tables.flatMap((table) => table.rows.map((row) => row.cells));
    for (const cell of cells) expect(Object.keys(cell), answer.question).not.toEqual([]);
    expect(unusable(answer, answer.question)).toEqual([]);
    expect(lines).toContain(`## ${answer.title}`);
  }
  const targets = answers.flatMap((answer) => answer.targets);
  expect(targets.length).toBe({ audit: 12, 'audit-append': 3, 'audit-prove': 2 }[name]);
  expect(fs.readdirSync(folder)).toEqual([]);
}, 120_000);

test('a quick run answers every question about the gate', async () => {
  const { code, stdout, stderr } = await bench('gate', '--quick', '--dir', folder);
  expect(code, stderr).toBe(0);
  const answers = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Answer);
  const targets = answers.map(({ question, targets }) => [question, targets.length]);
  expect(targets).toEqual([
    ['gate-policy', 2],
    ['gate-call', 1],
    ['gate-mcp', 1],
  ]);
  for (const answer of answers) expect(unusable(answer.tables, answer.question)).toEqual([]);
  expect(fs.readdirSync(folder)).toEqual([]);
}, 120_000);

test('a quick run answers every question about rate limits, whose contenders decide alike', async () => {
  const { code, stdout, stderr } = await bench('ratelimit', '--quick', '--dir', folder);
  expect(code, stderr).toBe(0);
  const answers = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Answer);
  const questions = answers.map(({ question }) => question);
  expect(questions).toEqual([
    'ratelimit-take',
    'ratelimit-memory',
    'ratelimit-wait',
    'ratelimit-redis',
  ]);
  for (const answer of answers) {
    expect(answer.tables.length, answer.question).toBeGreaterThan(0);
    expect(answer.targets.length, answer.question).toBeGreaterThan(0);
    // Of a few keys the memory is lost in what else there is, which may shrink.
    if (answer.question !== 'ratelimit-memory')
      expect(unusable(answer, answer.question)).toEqual([]);
  }
  expect(fs.readdirSync(folder)).toEqual([]);
}, 300_000);

test('an argument that cannot be is refused before anything is measured', async () => {
  for (const args of [
    ['no-such-question'],
    ['audit', '--rounds', '0'],
    ['audit', '--quick', '--write'],
  ]) {
    const { code, stdout, stderr } = await bench(...args, '--dir', folder);
    expect([code, stdout], args.join(' ')).toEqual([2, '']);
    expect(stderr).toContain('usage: npm run bench');
  }
});
