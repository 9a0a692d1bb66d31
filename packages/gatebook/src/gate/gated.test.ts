import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { childEnvironment } from '../secret-variables.js';
import { gated } from './gated.js';

let proc: string;

beforeEach(() => {
  proc = fs.mkdtempSync(join(tmpdir(), 'gatebook-proc-'));
  onTestFinished(() => fs.rmSync(proc, { recursive: true, force: true }));
  runs(1, 0);
  runs(10, 1);
  runs(20, 10, 'a) S 1 (b');
  runs(30, 20);
});

function runs(pid: number, parent: number, name = 'sh', environ = 'HOME=/x\0'): void {
  fs.mkdirSync(join(proc, String(pid)), { recursive: true });
  const rest = Array(48).fill(0).join(' ');
  fs.writeFileSync(join(proc, String(pid), 'stat'), `${pid} (${name}) S ${parent} ${rest}\n`);
  fs.writeFileSync(join(proc, String(pid), 'environ'), environ);
}

const because = (gates: readonly number[], env = {}): string | undefined =>
  gated({ gates, env, proc, pid: 30 }).because;

test('who has a gate among its ancestors is behind it', () => {
  expect(because([])).toBeUndefined();
  expect(because([11, 40])).toBeUndefined();
  expect(because([20])).toMatch('process 20, a gate');
  expect(because([10])).toMatch('process 10, a gate');
  // It is one itself: nothing is in front of it.
  expect(because([30])).toBeUndefined();
});

test('who was started with the mark is behind a gate, and who has an ancestor with it', () => {
  expect(because([], childEnvironment({}))).toMatch('GATEBOOK_GATED is set');
  runs(20, 10, 'sh', 'A=GATEBOOK_GATED=1\0');
  expect(because([])).toBeUndefined();
  runs(20, 10, 'sh', 'A=b\0GATEBOOK_GATED=1\0');
  expect(because([])).toMatch('process 20, which a gate has started');
});

test('ancestors that cannot be read are not taken for harmless', () => {
  fs.rmSync(join(proc, '10'), { recursive: true });
  expect(because([])).toMatch('process 10, which has started this, cannot be read');
  expect(gated({ gates: [], env: {}, proc, pid: 30 }).unsure).toBe(true);
  expect(gated({ gates: [20], env: {}, proc, pid: 30 }).unsure).toBeUndefined();
});

test('without /proc it is said that nothing was checked, and the mark counts', () => {
  const none = join(proc, 'none');
  expect(gated({ gates: [1], env: {}, proc: none }).unchecked).toMatch('cannot be checked');
  const marked = gated({ gates: [], env: { GATEBOOK_GATED: '1' }, proc: none });
  expect(marked.because).toMatch('GATEBOOK_GATED is set');
});
