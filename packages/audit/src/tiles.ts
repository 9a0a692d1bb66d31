import * as fs from 'node:fs';
import * as path from 'node:path';
import { createFolder, isNoFolder, isThere, readRegular } from './durable.js';
import { AuditError, systemCode } from './errors.js';
import { Frontier, type Hash } from './tree.js';

/**
 * The tree's hashes on disk as C2SP tlog-tiles: 256 hashes of 32 bytes a tile, all levels. Derived from the lines, never
 * believed before they fold into a signed root, and not synced.
 */

export const tileWidth = 256;
const hashBytes = 32;
export const tileBytes = tileWidth * hashBytes;

/** `tile/<L>/<N>[.p/<W>]`, N in groups of three digits (c2sp.org/tlog-tiles). */
export function tilePath(level: number, index: number, width = tileWidth): string {
  const groups = [String(index % 1000).padStart(3, '0')];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  }
  const partial = width === tileWidth ? '' : `.p/${width}`;
  return `tile/${level}/${groups.join('/')}${partial}`;
}

/** The bytes of a full tile, or of its widest partial form, or nothing. What is no tile counts as nothing. */
export function readTile(dir: string, level: number, index: number): Buffer {
  const full = path.join(dir, tilePath(level, index));
  let widest = readTileFile(full);
  if (widest.length > 0) return widest;
  for (const width of partialWidths(full)) {
    const bytes = readTileFile(path.join(`${full}.p`, String(width)));
    if (bytes.length > widest.length) widest = bytes;
  }
  return widest;
}

/** Every form in which a tile is on disk: full, and the partial ones that may stand beside. */
export function readTileForms(dir: string, level: number, index: number): Buffer[] {
  const full = path.join(dir, tilePath(level, index));
  const partial = partialWidths(full).map((width) => path.join(`${full}.p`, String(width)));
  return [full, ...partial].map(readTileFile).filter((bytes) => bytes.length > 0);
}

const noBytes = Buffer.alloc(0);

function readTileFile(file: string): Buffer {
  try {
    return readRegular(file, tileBytes) ?? noBytes;
  } catch (error) {
    if (error instanceof AuditError) return noBytes;
    throw error;
  }
}

function partialWidths(full: string): number[] {
  try {
    return fs
      .readdirSync(`${full}.p`)
      .filter((name) => /^[1-9][0-9]{0,2}$/.test(name))
      .map(Number);
  } catch (error) {
    if (isNoFolder(error)) return [];
    throw error;
  }
}

/** Leaves from `from` up to `to` as the tiles have them, ending where one is not there. */
export function* tileLeaves(dir: string, from: number, to: number): Generator<Hash> {
  let tile: { index: number; bytes: Buffer } | undefined;
  for (let seq = from; seq < to; seq++) {
    const index = Math.floor(seq / tileWidth);
    if (tile?.index !== index) tile = { index, bytes: readTile(dir, 0, index) };
    const leaf = tileEntry(tile.bytes, seq % tileWidth);
    if (leaf === undefined) return;
    yield leaf;
  }
}

/** The hash at a place of a tile's bytes; undefined where the tile is short or was never filled (32 zero bytes). */
export function tileEntry(bytes: Buffer, place: number): Hash | undefined {
  const at = place * hashBytes;
  if (at + hashBytes > bytes.length) return undefined;
  const hash = bytes.toString('hex', at, at + hashBytes);
  return hash === zeroHash ? undefined : hash;
}

/** What stands in a tile where nothing was written. */
export const zeroHash = '0'.repeat(64);

interface Level {
  /** Index of the tile that is being filled, and its hashes so far. */
  index: number;
  hashes: Hash[];
  /** Width of the partial tile on disk, 0 when there is none. */
  written: number;
}

/** A full tile on its way to the disk. */
interface FullTile {
  readonly file: string;
  readonly bytes: Buffer;
  /** Whether a partial one is in its place. */
  readonly isPartial: boolean;
}

function bytesOf(hashes: readonly Hash[]): Buffer {
  return Buffer.from(hashes.join(''), 'hex');
}

/** Fills the tiles of a growing tree and writes them out. What could not be written is written first the next time. */
export class TileWriter {
  readonly #dir: string;
  readonly #levels: Level[] = [];
  readonly #unwritten: FullTile[] = [];

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Adds the next hash of a level: a leaf hash at level 0, the hash of a full tile's subtree above. */
  append(level: number, hash: Hash): void {
    const tile = this.#level(level);
    if (tile.hashes.push(hash) < tileWidth) return;
    const file = this.#file(level, tile.index, tileWidth);
    this.#unwritten.push({ file, bytes: bytesOf(tile.hashes), isPartial: tile.written > 0 });
    tile.index++;
    tile.hashes = [];
    tile.written = 0;
    this.#writeFull();
  }

  /** Full tiles that are not written yet. */
  get unwritten(): number {
    return this.#unwritten.length;
  }

  #writeFull(): void {
    for (let next = this.#unwritten[0]; next !== undefined; next = this.#unwritten[0]) {
      this.#write(next.file, next.bytes);
      if (next.isPartial) fs.rmSync(`${next.file}.p`, { recursive: true, force: true });
      this.#unwritten.shift();
    }
  }

  /** Writes the partial tiles of the present size, which a checkpoint of that size needs, and removes narrower ones. */
  writePartials(): void {
    this.#writeFull();
    this.#levels.forEach((tile, level) => {
      const count = tile.hashes.length;
      if (count === 0 || count === tile.written) return;
      this.#write(this.#file(level, tile.index, count), bytesOf(tile.hashes));
      if (tile.written > 0) fs.rmSync(this.#file(level, tile.index, tile.written), { force: true });
      tile.written = count;
    });
  }

  /**
   * Takes up the partial tiles of a tree from disk; false when one is absent or does not fold into the frontier, which
   * must have been checked against a root. Tiles beyond the tree, left by writes that were lost, are removed.
   */
  resume(frontier: Frontier): boolean {
    const { size } = frontier;
    this.#levels.length = 0;
    this.#unwritten.length = 0;
    for (let level = 0; 256 ** level <= size; level++) {
      const count = Math.floor(size / 256 ** level) % tileWidth;
      const index = Math.floor(size / 256 ** (level + 1));
      this.#removeFrom(level, index, count);
      const bytes = readTile(this.#dir, level, index);
      const tile = this.#level(level);
      const fold = new Frontier();
      for (let place = 0; place < count; place++) {
        const hash = tileEntry(bytes, place);
        if (hash === undefined) return false;
        fold.append(hash);
        tile.hashes.push(hash);
      }
      if (!frontier.hasEdge(fold.toArray(), count, level * 8)) return false;
      tile.index = index;
      tile.written = isThere(this.#file(level, index, count)) ? count : 0;
    }
    return true;
  }

  /** Goes on behind a tree of which not every hash is known: what the tiles hold is taken, the rest stays unfilled. */
  adopt(size: number): void {
    for (let level = 0; level < this.#levels.length || 256 ** level <= size; level++) {
      const tile = this.#level(level);
      const count = Math.floor(size / 256 ** level) % tileWidth;
      tile.index = Math.floor(size / 256 ** (level + 1));
      const bytes = readTile(this.#dir, level, tile.index);
      tile.hashes = Array.from(
        { length: count },
        (_, place) => tileEntry(bytes, place) ?? zeroHash,
      );
      tile.written = 0;
    }
  }

  /** Whether every full tile of a tree of this size is on disk at its full length. */
  complete(size: number): boolean {
    for (let level = 0; 256 ** (level + 1) <= size; level++) {
      const tiles = Math.floor(size / 256 ** (level + 1));
      for (let index = 0; index < tiles; index++) {
        const stat = fs.statSync(this.#file(level, index, tileWidth), { throwIfNoEntry: false });
        if (stat?.size !== tileBytes) return false;
      }
    }
    return true;
  }

  #removeFrom(level: number, index: number, count: number): void {
    const first = this.#file(level, index, tileWidth);
    // A full tile where a partial one belongs holds hashes of records that were lost; keep what is below the size.
    if (count > 0 && isThere(first)) {
      this.#write(
        this.#file(level, index, count),
        fs.readFileSync(first).subarray(0, count * hashBytes),
      );
    }
    for (let stale = index; ; stale++) {
      const file = this.#file(level, stale, tileWidth);
      const found = isThere(file);
      fs.rmSync(file, { force: true });
      for (const width of partialWidths(file)) {
        if (stale > index || width > count)
          fs.rmSync(path.join(`${file}.p`, String(width)), { force: true });
      }
      if (!found) return;
    }
  }

  #level(level: number): Level {
    while (this.#levels.length <= level) {
      this.#levels.push({ index: 0, hashes: [], written: 0 });
    }
    return this.#levels[level]!;
  }

  #file(level: number, index: number, width: number): string {
    return path.join(this.#dir, tilePath(level, index, width));
  }

  /** Readers see a tile whole or not at all; it is not synced. */
  #write(file: string, bytes: Uint8Array): void {
    const temporary = `${file}.tmp`;
    const write = (): void => {
      fs.writeFileSync(temporary, bytes, { mode: 0o600 });
      fs.renameSync(temporary, file);
    };
    try {
      write();
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      createFolder(path.dirname(file));
      write();
    }
  }
}
