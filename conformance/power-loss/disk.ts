import { basename, dirname } from 'node:path';
import type { Call } from './trace.js';
import type { Tree } from './tree.js';

/**
 * A disk that keeps what was synced and may lose or keep, each by itself, every write, truncation, creation, rename and
 * removal that was not. A sync of a file keeps its bytes and its size, not its name; a sync of a folder keeps the names in it.
 */

export type Change =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly size: number }
  | { readonly kind: 'link'; readonly name: string; readonly node: number }
  | { readonly kind: 'unlink'; readonly name: string }
  | {
      readonly kind: 'move';
      readonly name: string;
      readonly from: string;
      readonly node: number;
    };

/** A change that is not synced yet. */
export interface Pending {
  readonly id: number;
  /** The file or folder that it changes. */
  readonly node: number;
  /** The path that was written, made, renamed to or removed. */
  readonly path: string;
  /** Which of the programs that ran one after the other made it. */
  readonly program: number;
  readonly change: Change;
}

interface File {
  readonly stable: Buffer;
  readonly now: Buffer;
}

interface Node {
  readonly path: string;
  file: File | undefined;
  /** Names in a folder, as synced and as they are now. */
  stable: Map<string, number>;
  now: Map<string, number>;
  pending: Pending[];
  version: number;
}

/** A sync that a program asks for. */
export interface Sync {
  readonly name: 'fsync' | 'fdatasync';
  readonly path: string;
  readonly isFolder: boolean;
  readonly program: number;
  /** What it would make durable. */
  readonly pending: readonly Pending[];
}

const root = 0;

export class Disk {
  readonly nodes: Node[] = [];
  #fds = new Map<number, { node: number; position: number; append: boolean }>();
  #program = 0;
  #nextId = 0;

  constructor(base: Tree) {
    this.#add('', undefined);
    for (const [path, content] of base) {
      const node = this.#add(path, content ?? undefined);
      const folder = this.nodes[this.#find(dirname(path)) ?? root]!;
      folder.stable.set(basename(path), node);
      folder.now.set(basename(path), node);
    }
  }

  /** A new program starts: it has no files open. */
  startProgram(): void {
    this.#fds = new Map();
    this.#program++;
  }

  /** Applies a call. A sync for which `lost` says so does nothing, as if the program had left it out. */
  apply(call: Call, lost: (sync: Sync) => boolean): void {
    if (call.kind === 'open') this.#open(call);
    if (call.kind === 'close') this.#fds.delete(call.fd);
    if (call.kind === 'write') this.#write(call.fd, call.bytes, call.at);
    if (call.kind === 'truncate') this.#truncate(this.#fds.get(call.fd)!.node, call.size);
    if (call.kind === 'mkdir') this.#link(call.path, this.#add(call.path, undefined));
    if (call.kind === 'rename') this.#rename(call.from, call.to);
    if (call.kind === 'remove') {
      const change: Change = { kind: 'unlink', name: basename(call.path) };
      this.#changeNames(dirname(call.path), call.path, change);
    }
    if (call.kind === 'sync') this.#sync(call.fd, call.name, lost);
  }

  /** All unsynced changes in the order they were made; bytes of files that no name can lead to any more are left out. */
  pending(): Pending[] {
    const named = new Set<number>();
    for (const { stable, pending } of this.nodes) {
      for (const node of stable.values()) named.add(node);
      for (const { change } of pending) if ('node' in change) named.add(change.node);
    }
    return this.nodes
      .flatMap((node, at) => (named.has(at) || at === root ? node.pending : []))
      .sort((a, b) => a.id - b.id);
  }

  #add(path: string, content: Buffer | undefined): number {
    const file = content === undefined ? undefined : { stable: content, now: content };
    const node = { path, file, stable: new Map(), now: new Map(), pending: [], version: 0 };
    return this.nodes.push(node) - 1;
  }

  #find(path: string): number | undefined {
    let node: number | undefined = root;
    if (path === '' || path === '.') return node;
    for (const name of path.split('/')) {
      node = node === undefined ? undefined : this.nodes[node]!.now.get(name);
    }
    return node;
  }

  #folder(path: string): number {
    const node = this.#find(path);
    if (node === undefined) throw new Error(`the model has no folder ${path}`);
    return node;
  }

  #open(call: Extract<Call, { kind: 'open' }>): void {
    let node = this.#find(call.path);
    if (node === undefined) {
      if (!call.create) throw new Error(`the model has no ${call.path}`);
      node = this.#add(call.path, Buffer.alloc(0));
      this.#link(call.path, node);
    } else if (call.truncate && this.nodes[node]!.file!.now.length > 0) {
      this.#truncate(node, 0);
    }
    this.#fds.set(call.fd, { node, position: 0, append: call.append });
  }

  #note(node: number, path: string, change: Change): void {
    const entry = this.nodes[node]!;
    entry.version++;
    entry.pending.push({ id: this.#nextId++, node, path, program: this.#program, change });
  }

  #write(fd: number, bytes: Buffer, at: number | undefined): void {
    const open = this.#fds.get(fd)!;
    const node = this.nodes[open.node]!;
    // Linux appends to such a file whatever place a pwrite names.
    const position = open.append ? node.file!.now.length : (at ?? open.position);
    const change: Change = { kind: 'write', at: position, bytes };
    if (at === undefined) open.position = position + bytes.length;
    node.file = { stable: node.file!.stable, now: changed(node.file!.now, change) };
    this.#note(open.node, node.path, change);
  }

  #truncate(at: number, size: number): void {
    const node = this.nodes[at]!;
    const change: Change = { kind: 'truncate', size };
    node.file = { stable: node.file!.stable, now: changed(node.file!.now, change) };
    this.#note(at, node.path, change);
  }

  #link(path: string, node: number): void {
    this.#changeNames(dirname(path), path, { kind: 'link', name: basename(path), node });
  }

  #rename(from: string, to: string): void {
    if (dirname(from) !== dirname(to)) throw new Error(`the model cannot move ${from} to ${to}`);
    const node = this.#folder(from);
    this.#changeNames(dirname(to), to, {
      kind: 'move',
      name: basename(to),
      from: basename(from),
      node,
    });
  }

  #changeNames(folder: string, path: string, change: Change): void {
    const at = this.#folder(folder);
    changeNames(this.nodes[at]!.now, change);
    this.#note(at, path, change);
  }

  #sync(fd: number, name: Sync['name'], lost: (sync: Sync) => boolean): void {
    const node = this.nodes[this.#fds.get(fd)!.node]!;
    const { path, pending } = node;
    const isFolder = node.file === undefined;
    if (lost({ name, path, isFolder, program: this.#program, pending })) return;
    if (node.file !== undefined) node.file = { stable: node.file.now, now: node.file.now };
    node.stable = new Map(node.now);
    node.pending = [];
    node.version++;
  }
}

/** The bytes of a file after a change; a gap is filled with zeros. */
export function changed(bytes: Buffer, change: Change): Buffer {
  if (change.kind !== 'write' && change.kind !== 'truncate') throw new Error('not a file');
  const size =
    change.kind === 'truncate'
      ? change.size
      : Math.max(bytes.length, change.at + change.bytes.length);
  const after = Buffer.alloc(size);
  bytes.copy(after);
  if (change.kind === 'write') change.bytes.copy(after, change.at);
  return after;
}

export function changeNames(names: Map<string, number>, change: Change): void {
  if (change.kind === 'unlink') names.delete(change.name);
  if (change.kind === 'move' && names.get(change.from) === change.node) names.delete(change.from);
  if (change.kind === 'link' || change.kind === 'move') names.set(change.name, change.node);
}
