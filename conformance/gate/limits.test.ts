import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, gatebookBin, linesOf, openBench, repository } from '../cli/gatebook.js';
import { callRecords, fixture, type Gate, startGate, toolCall } from '../mcp/gate.js';
import { onTerminal, terminalWords } from './terminal.js';

/** The buckets that gates share, as their operator sees and resets them. */

let bench: Bench;
let gates: Gate[] = [];
let called = 0;

beforeEach(async () => {
  bench = await openBench();
});

afterEach(async () => {
  await Promise.all(gates.map(end));
  gates = [];
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  await bench.remove();
});

const runner = join(repository, 'conformance', 'gate', 'fixtures', 'runner-server.mjs');

function start(server: string, ...options: string[]): Gate {
  const gate = startGate(bench, [process.execPath, server], { options });
  gates.push(gate);
  return gate;
}

async function end(gate: Gate): Promise<void> {
  gate.child.stdin.end();
  await gate.ended;
}

/** Whether a call came to the server. */
async function passes(gate: Gate): Promise<boolean> {
  const id = ++called;
  gate.send(toolCall(id, 'echo'));
  return (await gate.answer(id)).result?.isError !== true;
}

interface Shown {
  readonly kept: string;
  readonly limits: readonly {
    readonly name: string;
    readonly burst: number;
    readonly buckets: readonly {
      readonly key: object;
      readonly used: number;
      readonly left: number;
    }[];
  }[];
}

async function shown(): Promise<Shown> {
  return JSON.parse((await bench.run(['limits', '--json'])).stdout) as Shown;
}

/** What is used of each bucket, by the limit's name and the bucket's key. */
async function used(): Promise<readonly (readonly [string, object, number])[]> {
  const { limits } = await shown();
  return limits.flatMap(({ name, buckets }) =>
    buckets.map((bucket) => [name, bucket.key, Math.round(bucket.used)] as const),
  );
}

async function resets(): Promise<object[]> {
  const records = await callRecords(bench);
  return records.flatMap(({ event_type, details }) =>
    event_type === 'gate.limits_reset' ? [{ ...details }] : [],
  );
}

test('an operator sees what is used while gates run, resets one limit, and all', async () => {
  expect((await shown()).kept).toBe('nothing');
  const limits = ['--limit', '4/day', '--limit-per-user', '3/day', '--user', 'ann'];
  const gate = start(fixture('tap-server.mjs'), ...limits);
  for (let count = 0; count < 3; count++) expect(await passes(gate)).toBe(true);
  expect(await passes(gate)).toBe(false);
  expect((await shown()).kept).toBe('running');
  expect(await used()).toEqual([
    ['global', {}, 3],
    ['per-user', { actor: 'ann' }, 3],
  ]);
  const table = (await bench.run(['limits'])).stdout;
  expect(table).toMatch(/^LIMIT +RATE +KEY +USED +LEFT +BURST +FULL IN\n/);
  expect(table).toMatch(/^per-user +3 in 24 h +actor=ann +3 +0 +3 +24 h$/m);

  const wrong = await bench.run(['limits', 'reset', 'other', '--yes']);
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('no limit named other')]);
  const one = await bench.run(['limits', 'reset', 'per-user', '--yes']);
  expect(one.stderr).toContain('1 limit and 0 stopped sessions reset');
  expect(await used()).toEqual([['global', {}, 3]]);
  expect(await passes(gate)).toBe(true);
  expect(await passes(gate)).toBe(false);
  expect((await bench.run(['limits', 'reset', '--yes'])).code).toBe(0);
  expect(await passes(gate)).toBe(true);
  expect(await resets()).toMatchObject([{ limit: 'per-user' }, {}]);
});

test('where no gate runs the operator sees what the last one left, and resets that', async () => {
  const limits = ['--limit', '2/day'];
  const first = start(fixture('tap-server.mjs'), ...limits);
  expect([await passes(first), await passes(first)]).toEqual([true, true]);
  await end(first);
  expect((await shown()).kept).toBe('written');
  expect(await used()).toEqual([['global', {}, 2]]);
  const wrong = await bench.run(['limits', 'reset', 'other', '--yes']);
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('no limit named other')]);
  expect((await bench.run(['limits', 'reset', 'global', '--yes'])).code).toBe(0);
  expect(await used()).toEqual([]);
  expect(await passes(start(fixture('tap-server.mjs'), ...limits))).toBe(true);
  expect(await resets()).toMatchObject([{ limit: 'global' }]);
});

test('after a gate was killed all counts as used until it is reset', async () => {
  const first = start(fixture('tap-server.mjs'), '--limit', '2/day');
  expect(await passes(first)).toBe(true);
  first.child.kill('SIGKILL');
  await first.ended;
  expect((await shown()).kept).toBe('unknown');
  expect((await bench.run(['limits'])).stdout).toContain('ended without a word');
  const one = await bench.run(['limits', 'reset', 'global', '--yes']);
  expect([one.code, one.stderr]).toEqual([1, expect.stringContaining('only a reset of all')]);
  expect((await bench.run(['limits', 'reset', '--yes'])).code).toBe(0);
  expect(await passes(start(fixture('tap-server.mjs'), '--limit', '2/day'))).toBe(true);
});

test('what runs behind a gate cannot reset it, however it is started', async () => {
  const gate = start(runner, '--limit', '100/day');
  const reset = [process.execPath, gatebookBin, 'limits', 'reset', '--yes'];
  const shell = ['sh', '-c', '"$@"; exit $?', 'sh', ...reset];
  const tries = [
    { words: reset },
    { words: reset, unset: ['GATEBOOK_GATED'] },
    { words: shell, unset: ['GATEBOOK_GATED'] },
    { words: terminalWords(reset), unset: ['GATEBOOK_GATED'] },
  ];
  for (const [place, args] of tries.entries()) {
    gate.send(toolCall(`run ${place}`, 'run', args));
    const { result } = await gate.answer(`run ${place}`);
    const ran = JSON.parse(result!.content![0]!.text) as Record<
      'code' | 'stdout' | 'stderr',
      string
    >;
    expect(ran.code).toBe(1);
    expect(ran.stdout + ran.stderr).toContain('is for people, not for what runs behind a gate');
  }
  expect(await used()).toEqual([['global', {}, tries.length]]);
  expect(await resets()).toEqual([]);
});

test('a reset asks first, on a terminal only', async () => {
  const gate = start(fixture('tap-server.mjs'), '--limit', '2/day');
  expect(await passes(gate)).toBe(true);
  const piped = await bench.run(['limits', 'reset']);
  expect([piped.code, piped.stderr]).toEqual([2, expect.stringContaining('--yes')]);
  const env = { GATEBOOK_LOG: bench.log, GATEBOOK_KEYS: bench.keys };
  const no = await onTerminal(['limits', 'reset', 'global'], 'n\n', env);
  expect([no.code, no.text]).toEqual([
    1,
    expect.stringContaining('Reset the limit "global"? [y/N]'),
  ]);
  expect(await used()).toEqual([['global', {}, 1]]);
  expect((await onTerminal(['limits', 'reset', 'global'], 'y\n', env)).code).toBe(0);
  expect(await used()).toEqual([]);
});

test('watching prints an object a line in a pipe, and redraws a terminal only', async () => {
  const piped = await bench.run(['limits', '--watch']);
  expect([piped.code, piped.stderr]).toEqual([2, expect.stringContaining('--json')]);
  const watching = bench.start(['limits', '--watch', '--json']);
  let text = '';
  await new Promise<void>((resolve) => {
    watching.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (linesOf(text).length >= 2) resolve();
    });
  });
  watching.kill();
  for (const line of linesOf(text)) expect(JSON.parse(line)).toMatchObject({ kept: 'nothing' });
  await bench.record([{ event_type: 'test.done' }]);
});
