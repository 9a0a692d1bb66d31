import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { readFolder, segmentPaths } from '../attacks/folder.js';
import { type Bench, openBench } from './gatebook.js';

/** `gatebook audit verify --watch`. */

let bench: Bench;
let child: ChildProcessWithoutNullStreams | undefined;

beforeEach(async () => {
  bench = await openBench();
  const events = Array.from(
    { length: 60 },
    (_, i) => `{"event_type":"test.event","details":{"i":${i}}}\n`,
  );
  await bench.run(['record', '--max-size-mb', '0.01'], { input: events.join('') });
});

afterEach(async () => {
  child?.kill('SIGKILL');
  await bench.remove();
});

interface Report {
  readonly verdict: string;
  readonly records: number;
}

/** A watching verifier: gives its reports, and its exit code once it has ended. */
function watch(...flags: readonly string[]) {
  const running = bench.start(['audit', 'verify', '--watch', '1s', ...flags]);
  child = running;
  const lines = createInterface({ input: running.stdout })[Symbol.asyncIterator]();
  const exit = once(running, 'exit') as Promise<[number | null]>;
  return { running, lines, exit };
}

test('goes on while the log grows, and ends with the right code when it is asked to', async () => {
  const { running, lines, exit } = watch();
  expect((await lines.next()).value).toMatch(/^ok: 6\d records/);
  expect((await lines.next()).value).toMatch(/^checked against/);
  await bench.record([{ event_type: 'test.more' }]);
  expect((await lines.next()).value).toMatch(/^ok: .* new records?$/);
  running.kill('SIGTERM');
  expect((await exit)[0]).toBe(0);
});

test('ends at a byte that is changed in a segment it has read before', async () => {
  const { lines, exit } = watch('--json');
  const next = async (): Promise<Report> =>
    JSON.parse(String((await lines.next()).value)) as Report;
  expect((await next()).verdict).toBe('ok');
  expect((await next()).verdict).toBe('ok');
  const [first] = segmentPaths(await readFolder(bench.log));
  const bytes = readFileSync(join(bench.log, first!));
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(join(bench.log, first!), bytes);
  let report = await next();
  while (report.verdict === 'ok') report = await next();
  expect(report.verdict).toBe('tampered');
  expect((await exit)[0]).toBe(1);
});

test('ends when an older copy takes the log’s place, which it has seen longer', async () => {
  const older = join(bench.folder, 'older');
  cpSync(bench.log, older, { recursive: true, verbatimSymlinks: true });
  await bench.record([{ event_type: 'test.more' }]);
  // Who is elsewhere has no keys folder to hold against it.
  const { lines, exit } = watch(
    '--json',
    '--keys',
    join(bench.folder, 'none'),
    '--key',
    join(bench.keys, 'public-key'),
  );
  let report = JSON.parse(String((await lines.next()).value)) as Report;
  expect(report.verdict).toBe('ok');
  renameSync(bench.log, `${bench.log}.aside`);
  renameSync(older, bench.log);
  while (report.verdict === 'ok') report = JSON.parse(String((await lines.next()).value)) as Report;
  expect(report.verdict).toBe('rolled_back');
  expect((await exit)[0]).toBe(1);
});
