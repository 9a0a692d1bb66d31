import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { linesOf, run } from './gatebook.js';

const folder = mkdtempSync(join(tmpdir(), 'gatebook-limits-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Decided {
  readonly at_ms: number;
  readonly allowed: boolean;
  readonly limit: string;
  readonly remaining: number;
  readonly retry_after_ms: number | null;
  readonly waited_ms?: number;
}

async function simulate(requests: readonly object[], flags: readonly string[]): Promise<Decided[]> {
  const input = requests.map((request) => `${JSON.stringify(request)}\n`).join('');
  const ran = await run(['limits', 'simulate', '-', '--json', ...flags], { input });
  expect(ran.code, ran.stderr).toBe(0);
  return linesOf(ran.stdout).map((line) => JSON.parse(line) as Decided);
}

test('requests are decided at their times, all or nothing', async () => {
  const ann = { actor: { user_id: 'ann' } };
  const decided = await simulate(
    [
      ...[0, 0, 0, 10].map((at_ms) => ({ at_ms, ...ann, tool: 'read' })),
      { at_ms: 10, actor: { user_id: 'bob' } },
      { at_ms: 30_000, ...ann },
      { at_ms: 30_000, ...ann, cost: 3 },
    ],
    ['--limit', '3/min', '--limit-per-user', '2/min'],
  );
  expect(decided.map(({ allowed }) => allowed)).toEqual([
    true,
    true,
    false,
    false,
    true,
    true,
    false,
  ]);
  expect(decided[2]).toMatchObject({ limit: 'per-user', retry_after_ms: 30_000, remaining: 0 });
  expect(decided.at(-1)).toMatchObject({ retry_after_ms: null });
});

test('requests that may wait are decided when they are served, and told in their order', async () => {
  const decided = await simulate(
    [0, 0, 0, 100].map((at_ms) => ({ at_ms })),
    ['--limit', '1/s', '--limit-wait', '1500ms'],
  );
  expect(decided.map(({ allowed, waited_ms: waited }) => [allowed, waited])).toEqual([
    [true, undefined],
    [true, 1_000],
    [false, undefined],
    [false, undefined],
  ]);
});

test('people get a line each, and the sum on stderr', async () => {
  const file = join(folder, 'requests');
  writeFileSync(file, '{"at_ms":0,"tool":"write_file"}\n{"at_ms":5,"tool":"write_file"}\n');
  const ran = await run(['limits', 'simulate', file, '--limit-tool', 'write_*=1/min']);
  expect(ran.stdout).toBe(
    '         0 ms  - write_file  allowed, 0 left in tool:write_*\n' +
      '         5 ms  - write_file  refused by tool:write_*, retry in 59995 ms\n',
  );
  expect(ran.stderr).toBe('gatebook: 1 request allowed, 1 refused (1 by tool:write_*)\n');
});

test('what is wrong is named by its line, and nothing else ends well', async () => {
  const flags = ['--limit', '1/s'];
  for (const [input, message] of [
    ['{"at_ms":0}\nno\n', 'line 2: no JSON'],
    ['[]\n', 'line 1: no JSON object'],
    ['{}\n', 'line 1: at_ms'],
    ['{"at_ms":5}\n{"at_ms":4}\n', 'line 2: at_ms 4 is before'],
    ['{"at_ms":0,"cost":-1}\n', 'line 1: the cost in "global" is -1'],
    ['{"at_ms":0,"actor":{"user_id":7}}\n', 'line 1: actor.user_id is no text'],
  ] as const) {
    const ran = await run(['limits', 'simulate', '-', ...flags], { input });
    expect(ran.code, input).toBe(1);
    expect(ran.stderr).toContain(message);
    expect(ran.stderr.split('\n')).toHaveLength(2);
  }
  const waiting = ['limits', 'simulate', '-', ...flags, '--limit-wait', '1s'];
  const cost = await run(waiting, { input: '{"at_ms":0,"cost":-1}\n' });
  expect([cost.code, cost.stderr.split('\n').length]).toEqual([1, 2]);
  expect(cost.stderr).toContain('line 1: the cost');
  expect((await run(['limits', 'simulate', '-'])).code).toBe(2);
  const missing = await run(['limits', 'simulate', join(folder, 'none'), ...flags]);
  expect([missing.code, missing.stderr.includes('ENOENT')]).toEqual([2, true]);
});
