import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { changed, changeNames, type Disk, type Pending } from './disk.js';
import type { Tree } from './tree.js';

/**
 * What became of one unsynced change: kept, dropped, or, for a write, kept as far as `cut`; behind that is nothing, or
 * zeros to its end, or zeros for one block (a hole) and then the rest.
 */
export type Fate =
  | 'kept'
  | 'dropped'
  | { readonly cut: number; readonly behind: 'end' | 'zeros' | 'hole' };
export type Fates = (change: Pending) => Fate;

/** Bytes that reach a disk together or not at all. */
export const block = 512;

export interface DiskState {
  readonly tree: Tree;
  /** What the blocks of files that lost their names still hold. */
  readonly nameless: readonly { readonly path: string; readonly bytes: Buffer }[];
  /** The same for two states exactly when they are the same. */
  readonly digest: string;
}

/** Reads off what a disk would hold after a power loss; remembers the contents it has built, for states share most. */
export class StateReader {
  readonly #disk: Disk;
  readonly #contents = new Map<string, Buffer>();
  readonly #digests = new WeakMap<Buffer, string>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  read(fates: Fates): DiskState {
    const tree = new Map<string, Buffer | null>();
    const reached = new Set<number>();
    this.#readFolder(0, '', fates, tree, reached);
    const nameless = this.#disk.nodes.flatMap((node, at) =>
      node.file === undefined ||
      reached.has(at) ||
      !/(epoch-\d+\.key|subjects\/[0-9a-f]+\.key|signing-key.*\.pem)$/.test(node.path)
        ? []
        : [{ path: node.path, bytes: this.#content(at, fates) }],
    );
    const hash = createHash('sha256');
    for (const [path, content] of tree) {
      hash.update(`${path}\0${content === null ? '/' : this.#digest(content)}\0`);
    }
    for (const { path, bytes } of nameless) hash.update(`${path}\0${this.#digest(bytes)}\0`);
    return { tree, nameless, digest: hash.digest('hex') };
  }

  #readFolder(
    at: number,
    path: string,
    fates: Fates,
    tree: Map<string, Buffer | null>,
    reached: Set<number>,
  ): void {
    const folder = this.#disk.nodes[at]!;
    const names = new Map(folder.stable);
    for (const pending of folder.pending) {
      if (fates(pending) !== 'dropped') changeNames(names, pending.change);
    }
    for (const [name, node] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const inner = join(path, name);
      reached.add(node);
      if (this.#disk.nodes[node]!.file === undefined) {
        tree.set(inner, null);
        this.#readFolder(node, inner, fates, tree, reached);
      } else {
        tree.set(inner, this.#content(node, fates));
      }
    }
  }

  #content(at: number, fates: Fates): Buffer {
    const { file, pending, version } = this.#disk.nodes[at]!;
    if (pending.length === 0) return file!.stable;
    const chosen = pending.map(fates);
    const key = `${at} ${version} ${chosen.map((fate) => (typeof fate === 'string' ? fate[0] : `${fate.cut}${fate.behind}`)).join(' ')}`;
    let content = this.#contents.get(key);
    if (content === undefined) {
      content = pending.reduce(
        (bytes, change, i) => applied(bytes, change, chosen[i]!),
        file!.stable,
      );
      this.#contents.set(key, content);
    }
    return content;
  }

  #digest(bytes: Buffer): string {
    let digest = this.#digests.get(bytes);
    if (digest === undefined) {
      digest = createHash('sha256').update(bytes).digest('hex');
      this.#digests.set(bytes, digest);
    }
    return digest;
  }
}

function applied(bytes: Buffer, { change }: Pending, fate: Fate): Buffer {
  if (fate === 'dropped') return bytes;
  if (fate === 'kept' || change.kind !== 'write') return changed(bytes, change);
  const kept = change.bytes.subarray(0, fate.cut);
  if (fate.behind === 'end') return changed(bytes, { ...change, bytes: kept });
  const zeroed = Buffer.alloc(change.bytes.length);
  kept.copy(zeroed);
  const holeEnd = fate.cut + block - ((change.at + fate.cut) % block);
  if (fate.behind === 'hole' && holeEnd < change.bytes.length)
    change.bytes.copy(zeroed, holeEnd, holeEnd);
  return changed(bytes, { ...change, bytes: zeroed });
}
