import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SecondVerifier } from '../attacks/verifiers.js';
import { type Bench, openBench } from '../cli/gatebook.js';
import { startWitness, type WitnessProcess } from './witness-process.js';

// Each starts many processes, and the machine may be busy.
vi.setConfig({ testTimeout: 300_000 });

/** A signing key is changed while a witness knows only the old one: both sign until the witness takes the new one. */

let bench: Bench;
let witness: WitnessProcess;
let older: string;
let newer: string;

async function openWitness(logKeys: readonly string[]): Promise<void> {
  const port = witness === undefined ? 0 : Number(new URL(witness.url).port);
  await witness?.end();
  const state = join(bench.folder, 'witness');
  witness = await startWitness({ state, logKeys, name: 'witness.example/w', port });
}

beforeAll(async () => {
  bench = await openBench();
  await bench.run(['init']);
  const { stdout } = await bench.run(['keys', 'show', '--json']);
  older = join(bench.folder, 'older-key');
  newer = join(bench.folder, 'newer-key');
  writeFileSync(older, `${(JSON.parse(stdout) as Shown).keys[0]!.public_key}\n`);
  await openWitness([older]);
}, 120_000);

afterAll(async () => {
  await witness?.end();
  await bench.remove();
});

interface Shown {
  readonly keys: readonly { readonly public_key: string; readonly retired?: object }[];
}

async function shown(): Promise<boolean[]> {
  const { stdout } = await bench.run(['keys', 'show', '--json']);
  return (JSON.parse(stdout) as Shown).keys.map(({ retired }) => retired === undefined);
}

const record = async (): Promise<void> => {
  const ran = await bench.run(['record', '--witness', witness.option], {
    input: '{"event_type":"test.event"}\n',
  });
  expect(ran.code, ran.stderr).toBe(0);
};

async function expectOk(): Promise<void> {
  const second = new SecondVerifier();
  for (const key of [older, newer]) {
    const args = ['audit', 'verify', '--strict', '--key', key, '--witness', witness.option];
    const ran = await bench.run(args);
    expect([ran.code, ran.stdout], key).toEqual([0, expect.stringMatching(/^ok: /)]);
    expect(await second.ask(bench.log, { keys: [key] })).toMatchObject({ verdict: 'ok' });
  }
  second.close();
}

test('both keys sign while the witness knows the old one only, and it goes on cosigning', async () => {
  await record();
  const rotated = await bench.run(['keys', 'rotate']);
  expect(rotated.code, rotated.stderr).toBe(0);
  writeFileSync(newer, rotated.stdout);
  expect(await shown()).toEqual([true, true]);
  await record();
  await record();
  expect(await shown()).toEqual([true, true]);
  await expectOk();
});

test('the old key retires by itself once the witness has taken the new one', async () => {
  await openWitness([older, newer]);
  const child = bench.start(['record', '--witness', witness.option]);
  child.stderr.resume();
  child.stdout.resume();
  child.stdin.write('{"event_type":"test.event"}\n');
  await vi.waitFor(async () => expect(await shown()).toEqual([false, true]), {
    timeout: 120_000,
    interval: 500,
  });
  child.stdin.end('{"event_type":"test.event"}\n');
  expect((await once(child, 'exit'))[0]).toBe(0);
  await record();
  await expectOk();
});
