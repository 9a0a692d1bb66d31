import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkNames, Gauntlet } from './gauntlet.js';
import { keptCheckpoints, keyChanges, makeChanged } from './key-changes.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';

describe('a log whose signing key changed', () => {
  let dir: string;
  let gauntlet: Gauntlet | undefined;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatebook-key-changes-'));
    gauntlet = await Gauntlet.open(dir);
  });
  afterAll(async () => {
    process.stdout.write(`key changes: ${gauntlet?.summary()}\n`);
    gauntlet?.close();
    await rm(dir, { recursive: true, force: true });
  });

  it('is judged rightly by both verifiers, whichever of its keys is brought', {
    timeout: 15 * 60_000,
  }, async () => {
    const changed = await makeChanged(join(dir, 'changed'));
    expect(keptCheckpoints(changed.after)).toBe(2);
    const attacks = await keyChanges(changed);
    checkNames(attacks);
    expect(attacks.length).toBeGreaterThanOrEqual(100);
    // Each thing is done four times, with other keys brought: every third is each thing once at least.
    const wrong = await gauntlet!.run(attacks.filter((_, i) => wholeRun || i % 3 === 0));
    expect(wrong, wrong.join('\n')).toHaveLength(0);
  });
});
