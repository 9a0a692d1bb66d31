import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../cli/gatebook.js';
import type { Attack } from './attack.js';
import { readFolder, segmentPaths } from './folder.js';
import { checkNames, Gauntlet } from './gauntlet.js';

/** A log whose signing key changed before it was damaged and repaired, and once more after: both verifiers follow any key. */

let dir: string;
let gauntlet: Gauntlet | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatebook-key-repairs-'));
  gauntlet = await Gauntlet.open(dir);
});
afterAll(async () => {
  gauntlet?.close();
  await rm(dir, { recursive: true, force: true });
});

async function must(place: string, ...args: string[]): Promise<void> {
  const { code, text } = await gatebook(place, ...args);
  if (code !== 0) throw new Error(`${args.join(' ')}: ${text}`);
}

async function gatebook(
  place: string,
  ...args: string[]
): Promise<{ code: number | null; text: string }> {
  const places = ['--log', join(dir, place, 'log'), '--keys', join(dir, place, 'keys')];
  const input = args[0] === 'record' ? '{"event_type":"auth_login"}\n'.repeat(20) : '';
  const ran = await run([...args, ...places], { input });
  return { code: ran.code, text: `${ran.stdout}${ran.stderr}` };
}

async function keepKey(place: string, name: string): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, await readFile(join(dir, place, 'keys', 'public-key')));
  return file;
}

/** A changed record in one of the segments, the first that `isHurt`, repaired. */
async function repaired(
  place: string,
  at: number,
  isHurt: (line: string) => boolean,
): Promise<void> {
  await cp(join(dir, 'whole'), join(dir, place), { recursive: true });
  const log = join(dir, place, 'log');
  const path = join(log, segmentPaths(await readFolder(log))[at]!);
  const lines = (await readFile(path, 'utf8')).split('\n');
  const hurt = lines.findIndex(isHurt);
  lines[hurt] = lines[hurt]!.replace('"timestamp":"2', '"timestamp":"3');
  await writeFile(path, lines.join('\n'));
  // Exit 1 says that checkpoints of a key that nothing leads to any more stay.
  expect((await gatebook(place, 'audit', 'repair')).text).toContain('the log goes on');
  await must(place, 'record');
}

it('is missing what it lost, and nothing else, whichever key is brought', {
  timeout: 300_000,
}, async () => {
  await must('whole', 'init');
  const keys = [await keepKey('whole', 'first-key')];
  await must('whole', 'record');
  await must('whole', 'audit', 'rotate');
  await must('whole', 'keys', 'rotate');
  keys.push(await keepKey('whole', 'second-key'));
  await must('whole', 'audit', 'rotate');
  await must('whole', 'record');
  await must('whole', 'audit', 'rotate');
  const attacks: Attack[] = [];
  for (const [name, at] of [
    ['damage before the change', 0],
    ['damage behind the change', 2],
  ] as const) {
    await repaired(name, at, (line) => line.includes('auth_login'));
    await must(name, 'keys', 'rotate');
    await must(name, 'record');
    const folder = await readFolder(join(dir, name, 'log'));
    const third = await keepKey(name, `third-key ${at}`);
    for (const brought of [[...keys.slice(0, 1)], [...keys.slice(1)], [third], [...keys, third]]) {
      attacks.push({
        name: `${name}: ${brought.map((key) => key.slice(dir.length + 1)).join(', ')}`,
        folder: () => folder,
        brought: { keys: brought },
        expected: { verdict: 'missing' },
      });
    }
  }
  const lost = 'the record of the key lost';
  await repaired(lost, 1, (line) => line.includes('log.key_rotated'));
  const folder = await readFolder(join(dir, lost, 'log'));
  attacks.push({
    name: lost,
    folder: () => folder,
    brought: { keys: keys.slice(1) },
    expected: { verdict: 'missing' },
  });
  checkNames(attacks);
  const wrong = await gauntlet!.run(attacks);
  expect(wrong, wrong.join('\n')).toHaveLength(0);
});
