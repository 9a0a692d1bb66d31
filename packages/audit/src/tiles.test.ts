import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { withFaults } from './testing/faults.js';
import { packageRoot, temporaryFolder } from './testing/folders.js';
import { naiveLeaf } from './testing/naive-tree.js';
import { readTile, TileWriter, tileEntry, tilePath } from './tiles.js';
import { Frontier } from './tree.js';

interface Vectors {
  readonly tiles: readonly { size: number; path: string; bytes: number; sha256: string }[];
  readonly tile_paths: readonly { level: number; n: number; width: number; path: string }[];
}
const vectors = JSON.parse(
  fs.readFileSync(path.join(packageRoot, 'vectors', 'tlog.json'), 'utf8'),
) as Vectors;

test('paths are C2SP’s, as Go writes them', () => {
  for (const { level, n, width, path: wanted } of vectors.tile_paths) {
    expect(tilePath(level, n, width)).toBe(wanted);
  }
});

function grow(frontier: Frontier, tiles: TileWriter, to: number): void {
  while (frontier.size < to) {
    const leaf = naiveLeaf(frontier.size).toString('hex');
    frontier.append(leaf, (level, hash) => tiles.append(level, hash));
    tiles.append(0, leaf);
  }
}

test('tiles of a growing tree are Go’s at each of its sizes, also when it is taken up again each time', () => {
  const dir = temporaryFolder();
  const frontier = new Frontier();
  let tiles = new TileWriter(dir);
  const sizes = [...new Set(vectors.tiles.map(({ size }) => size))].sort((a, b) => a - b);
  let checked = 0;
  for (const size of sizes) {
    grow(frontier, tiles, size);
    tiles.writePartials();
    for (const wanted of vectors.tiles.filter((tile) => tile.size === size)) {
      const bytes = fs.readFileSync(path.join(dir, wanted.path));
      expect(bytes.length, wanted.path).toBe(wanted.bytes);
      expect(createHash('sha256').update(bytes).digest('hex'), wanted.path).toBe(wanted.sha256);
      checked++;
    }
    tiles = new TileWriter(dir);
    expect(tiles.resume(frontier)).toBe(true);
    expect(tiles.complete(size)).toBe(true);
  }
  expect(checked).toBe(vectors.tiles.length);
});

test('only the partial tile of the newest size stays', () => {
  const dir = temporaryFolder();
  const frontier = new Frontier();
  const tiles = new TileWriter(dir);
  for (const size of [3, 7, 255]) {
    grow(frontier, tiles, size);
    tiles.writePartials();
    expect(fs.readdirSync(path.join(dir, 'tile/0/000.p'))).toEqual([String(size)]);
  }
  grow(frontier, tiles, 256);
  tiles.writePartials();
  expect(fs.existsSync(path.join(dir, 'tile/0/000.p'))).toBe(false);
});

test('what could not be written is written the next time', () => {
  const dir = temporaryFolder();
  const frontier = new Frontier();
  const tiles = new TileWriter(dir);
  grow(frontier, tiles, 300);
  tiles.writePartials();
  let failures = 0;
  const fails = (action: () => void): void => {
    const fault = (name: string): boolean => name === 'renameSync' && ++failures > 0;
    expect(() => withFaults(fault, action)).toThrow('EIO');
  };
  fails(() => grow(frontier, tiles, 512));
  expect(tiles.unwritten).toBe(1);
  fails(() => tiles.writePartials());
  expect(failures).toBe(2);
  expect(tiles.complete(512)).toBe(false);
  grow(frontier, tiles, 700);
  fails(() => tiles.writePartials());
  tiles.writePartials();
  expect(tiles.unwritten).toBe(0);
  expect(tiles.complete(700)).toBe(true);
  expect(fs.existsSync(path.join(dir, 'tile/0/001.p'))).toBe(false);
  expect(fs.readdirSync(path.join(dir, 'tile/0/002.p'))).toEqual(['188']);
  expect(new TileWriter(dir).resume(frontier)).toBe(true);
});

test('tiles that do not fold into the tree are not taken up', () => {
  const dir = temporaryFolder();
  const frontier = new Frontier();
  const tiles = new TileWriter(dir);
  grow(frontier, tiles, 300);
  tiles.writePartials();
  const file = path.join(dir, 'tile/0/001.p/44');
  const good = fs.readFileSync(file);
  for (const spoil of [
    () => fs.writeFileSync(file, good.subarray(0, -1)),
    () => fs.writeFileSync(file, Buffer.from(good).fill(0, 0, 32)),
    () => fs.writeFileSync(file, Buffer.from(good).fill(1, 64, 65)),
    () => fs.rmSync(file),
  ]) {
    spoil();
    expect(new TileWriter(dir).resume(frontier)).toBe(false);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, good);
  }
  expect(new TileWriter(dir).resume(frontier)).toBe(true);
});

test('what is beyond the tree is removed when it is taken up', () => {
  const dir = temporaryFolder();
  const frontier = new Frontier();
  const tiles = new TileWriter(dir);
  grow(frontier, tiles, 250);
  tiles.writePartials();
  const behind = frontier.copy();
  grow(frontier, tiles, 700);
  tiles.writePartials();
  expect(new TileWriter(dir).resume(behind)).toBe(true);
  for (let place = 0; place < 256; place++) {
    const hash = tileEntry(readTile(dir, 0, 0), place);
    expect(hash).toBe(place < 250 ? naiveLeaf(place).toString('hex') : undefined);
  }
  expect(readTile(dir, 0, 1)).toHaveLength(0);
  expect(readTile(dir, 0, 2)).toHaveLength(0);
});

test('an entry that is short or zero is none', () => {
  const bytes = Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(32), Buffer.alloc(31, 1)]);
  expect([0, 1, 2, 3].map((place) => tileEntry(bytes, place))).toEqual([
    '01'.repeat(32),
    undefined,
    undefined,
    undefined,
  ]);
});
