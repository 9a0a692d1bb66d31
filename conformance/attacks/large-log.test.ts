import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../cli/gatebook.js';
import type { Attack, Expected } from './attack.js';
import { type Folder, file, pathsIn, put, readFolder, segmentPaths } from './folder.js';
import { Gauntlet } from './gauntlet.js';
import { tamperedFile } from './places.js';
import { Random, seedOfRun } from './random.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';
/** From 65,536 records on the tree has a third level of tiles. */
const recordCount = 66_000;

describe.runIf(wholeRun)('a log with tiles of three levels', () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  let dir: string;
  let folder: Folder;
  let gauntlet: Gauntlet | undefined;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatebook-large-'));
    const input = Array.from(
      { length: recordCount },
      (_, i) => `{"event_type":"test.event","details":{"i":${i}}}\n`,
    ).join('');
    const places = ['--log', join(dir, 'log'), '--keys', join(dir, 'keys')];
    expect((await run(['record', ...places], { input })).code).toBe(0);
    folder = await readFolder(join(dir, 'log'));
    gauntlet = await Gauntlet.open(dir);
  });
  afterAll(async () => {
    if (gauntlet !== undefined)
      process.stdout.write(`large log: ${gauntlet.summary()}; seed ${seed}\n`);
    gauntlet?.close();
    await rm(dir, { recursive: true, force: true });
  });

  const flipped = (path: string, offset: number): Folder => {
    const bytes = Buffer.from(file(folder, path));
    bytes[offset] = bytes[offset]! ^ 1;
    return put(folder, path, bytes);
  };
  const attack = (name: string, make: () => Folder, expected: Expected): Attack => ({
    name,
    folder: make,
    brought: { keys: [join(dir, 'keys', 'public-key')] },
    expected,
  });
  const tileFlips = (): Attack[] =>
    [1, 2, 3].flatMap(() => {
      const levels = ['tile/0', 'tile/1', 'tile/2'].map((level) => pathsIn(folder, level));
      const partial = levels.map((paths) => paths.find((path) => path.includes('.p/')));
      const full = levels.map((paths) => random.pick(paths));
      return [...new Set([...partial, ...full])].flatMap((path) => {
        if (path === undefined) return [];
        const offset = random.below(file(folder, path).length);
        return attack(`byte ${offset} of ${path}`, () => flipped(path, offset), tamperedFile(path));
      });
    });
  const recordFlips = (): Attack[] => {
    const path = segmentPaths(folder)[0]!;
    const bytes = file(folder, path);
    return [1, 2, 3, 4].map(() => {
      const seq = 1 + random.below(recordCount);
      const offset = bytes.indexOf(`{"seq":${seq},`);
      const at = bytes.indexOf('"details":{"i":', offset) + '"details":{"i":'.length;
      return attack(`record ${seq}`, () => flipped(path, at), {
        verdict: 'tampered',
        at: { path, seq, offset },
      });
    });
  };

  it('is attacked in vain', { timeout: 20 * 60_000 }, async () => {
    expect(pathsIn(folder, 'tile/2')).not.toEqual([]);
    const untouched = attack('untouched', () => folder, { verdict: 'ok', pending: 0 });
    const wrong = await gauntlet!.run([untouched, ...tileFlips(), ...recordFlips()]);
    expect(wrong, `GATEBOOK_ATTACK_SEED=${seed}\n${wrong.join('\n')}`).toHaveLength(0);
  });
});
