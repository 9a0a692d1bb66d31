import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { gateHook } from './gate-hook.js';

test('no answer overtakes those that were promised while the state was made ready', async () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'gate-hook-'));
  const hook = gateHook(folder)('host');
  onTestFinished(() => {
    hook.close?.('clean');
    fs.rmSync(folder, { recursive: true });
  });
  const hello = (): string | Promise<string> =>
    hook.answer(JSON.stringify({ op: 'hello' }), { client: 'a'.repeat(32), pid: process.pid });
  const first = hello();
  expect(first).toBeInstanceOf(Promise);
  await first;
  // Whoever waits for the first answer hears of it some turns later, as long as promises are handed on.
  for (let turns = 0; turns < 100; turns++) {
    expect(hello(), `${turns} turns later`).toBeInstanceOf(Promise);
    await Promise.resolve();
  }
  await turn();
  expect(hello()).toBeTypeOf('string');
});
