import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Attack } from './attack.js';
import { byteFlips } from './byte-flips.js';
import { changedLines } from './changed-lines.js';
import { changedMembers } from './changed-members.js';
import { checkpointEdits, movedCheckpoints } from './checkpoint-edits.js';
import { cutEnds } from './cut-ends.js';
import { broughtWrongly, makeBroughtFiles, replacedFolders } from './evidence.js';
import { stealKeys } from './forger.js';
import { checkNames, Gauntlet } from './gauntlet.js';
import { type Logs, makeLogs } from './logs.js';
import { movedRecords, removedSegmentEnds } from './moved-records.js';
import { otherFiles } from './other-files.js';
import { Random, seedOfRun } from './random.js';
import { repairs } from './repairs.js';
import { keyHolderCheckpoints, keyHolderRewrites, openEpochRewrites } from './rewrites.js';
import { segmentFiles } from './segment-files.js';
import { tallies } from './tallies.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';
/** Of each group in the reduced run; of the first two, which have the most kinds of attack, more. */
const sampleSizes = { usual: 3, larger: 8 };
const mutationsMin = wholeRun ? 2_000 : 45;
const groupTimeoutMs = 15 * 60_000;

const groups = [
  'members changed, removed, renamed, doubled',
  'lines and newlines changed',
  'records removed, exchanged, copied, forged',
  'the last record of a segment removed',
  'bytes flipped',
  'checkpoints edited and signatures stripped',
  'checkpoints moved and put back',
  'the end cut off',
  'segment files deleted, renamed, copied',
  'tiles, torn bytes and other files',
  'tallies changed, and seals that do not count honestly',
  'repaired logs, and what is done to them since',
  'the past rewritten by a key holder',
  'the open epoch rewritten by a key holder',
  'checkpoints signed by a key holder',
  'keys and evidence brought wrongly',
  'the folder replaced',
] as const;
type Group = (typeof groups)[number];

async function allAttacks(
  dir: string,
  logs: Logs,
  random: Random,
): Promise<Record<Group, Attack[]>> {
  const stolen = await stealKeys(logs.keysOfClosed);
  const files = await makeBroughtFiles(dir, logs, stolen);
  const held = {
    last: await readFile(logs.held.last),
    pending: await readFile(logs.held.pending),
    other: await readFile(logs.held.other),
  };
  return {
    'members changed, removed, renamed, doubled': changedMembers(logs),
    'lines and newlines changed': changedLines(logs),
    'records removed, exchanged, copied, forged': movedRecords(logs, random),
    'the last record of a segment removed': removedSegmentEnds(logs),
    'bytes flipped': byteFlips(logs, random),
    'checkpoints edited and signatures stripped': checkpointEdits(logs),
    'checkpoints moved and put back': movedCheckpoints(logs, held),
    'the end cut off': cutEnds(logs, random),
    'segment files deleted, renamed, copied': segmentFiles(logs, random),
    'tiles, torn bytes and other files': otherFiles(logs, random),
    'tallies changed, and seals that do not count honestly': tallies(logs, stolen),
    'repaired logs, and what is done to them since': await repairs(dir, logs),
    'the past rewritten by a key holder': keyHolderRewrites(logs, stolen, random),
    'the open epoch rewritten by a key holder': openEpochRewrites(
      logs,
      await stealKeys(logs.keysOfOpen),
    ),
    'checkpoints signed by a key holder': keyHolderCheckpoints(logs, stolen),
    'keys and evidence brought wrongly': broughtWrongly(logs, files),
    'the folder replaced': replacedFolders(logs),
  };
}

describe('no attack on a log is answered wrongly by either verifier:', () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  let dir: string;
  let attacks: Record<Group, Attack[]>;
  let gauntlet: Gauntlet | undefined;
  const startedMs = performance.now();

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatebook-attacks-'));
    const logs = await makeLogs(dir);
    const all = await allAttacks(dir, logs, random);
    checkNames(Object.values(all).flat());
    attacks = all;
    gauntlet = await Gauntlet.open(dir);
  });

  afterAll(async () => {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    process.stdout.write(`attacks: ${gauntlet?.summary()}; seed ${seed}; ${seconds} s\n`);
    gauntlet?.close();
    await rm(dir, { recursive: true, force: true });
  });

  it.for(groups)('%s', { timeout: groupTimeoutMs }, async (group) => {
    const size = groups.indexOf(group) < 2 ? sampleSizes.larger : sampleSizes.usual;
    const chosen = wholeRun ? attacks[group] : random.sample(attacks[group], size);
    const wrong = await gauntlet!.run(chosen);
    // The seed stands in the message, for it is what repeats the run.
    expect(wrong, `GATEBOOK_ATTACK_SEED=${seed}\n${wrong.join('\n')}`).toHaveLength(0);
  });

  it('is a run of the stated size', () => {
    expect(gauntlet?.count).toBeGreaterThanOrEqual(mutationsMin);
  });
});
