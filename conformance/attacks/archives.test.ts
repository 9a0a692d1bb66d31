import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, run } from '../cli/gatebook.js';
import { type ArchivedLog, archivedLog, archives } from './archives.js';
import type { Attack } from './attack.js';
import { readFolder } from './folder.js';
import { checkNames, Gauntlet } from './gauntlet.js';
import { Random, seedOfRun } from './random.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const sampled = 8;

function must(ran: Ran): void {
  if (ran.code !== 0) throw new Error(`exit ${ran.code}: ${ran.stdout}${ran.stderr}`);
}

/** Two sealed segments of several members each and an open one, archived by the command. */
async function makeArchived(dir: string): Promise<ArchivedLog> {
  const log = join(dir, 'log');
  const places = ['--log', log, '--keys', join(dir, 'keys')];
  const line = (i: number): string =>
    `${JSON.stringify({ event_type: 'tool_execution', actor: { user_id: 'ann' }, details: { i } })}\n`;
  const input = Array.from({ length: 1_800 }, (_, i) => line(i)).join('');
  must(await run(['init', ...places]));
  const hmacKey = join(dir, 'auditor-key');
  await rename(join(dir, 'keys', 'initial-hmac-key'), hmacKey);
  must(await run(['record', '--max-size-mb', '0.25', ...places], { input }));
  const plain = await readFolder(log);
  must(await run(['audit', 'archive', ...places]));
  const publicKey = join(dir, 'public-key');
  await writeFile(publicKey, await readFile(join(dir, 'keys', 'public-key')));
  return archivedLog(plain, await readFolder(log), { publicKey, hmacKey });
}

describe('no attack on an archived log is answered wrongly by either verifier', () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  let dir: string;
  let attacks: Attack[];
  let gauntlet: Gauntlet;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatebook-archives-'));
    const log = await makeArchived(dir);
    expect([...log.folder.keys()].filter((path) => path.endsWith('.gz'))).toHaveLength(2);
    attacks = archives(log, random);
    checkNames(attacks);
    gauntlet = await Gauntlet.open(dir);
  });
  afterAll(async () => {
    process.stdout.write(`archives: ${gauntlet.summary()}; seed ${seed}\n`);
    gauntlet.close();
    await rm(dir, { recursive: true, force: true });
  });

  it('bits flipped, members moved, archives replaced', { timeout: 15 * 60_000 }, async () => {
    expect(attacks.length).toBeGreaterThan(120);
    const wrong = await gauntlet.run(wholeRun ? attacks : random.sample(attacks, sampled));
    expect(wrong, `GATEBOOK_ATTACK_SEED=${seed}\n${wrong.join('\n')}`).toHaveLength(0);
  });
});
