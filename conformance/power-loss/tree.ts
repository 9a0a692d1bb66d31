import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The files and folders below one folder; a folder's content is null, and its path comes before what it holds. */
export type Tree = ReadonlyMap<string, Buffer | null>;

export function readTree(root: string, under = ''): Map<string, Buffer | null> {
  const tree = new Map<string, Buffer | null>();
  for (const entry of readdirSync(join(root, under), { withFileTypes: true })) {
    const path = join(under, entry.name);
    if (entry.isDirectory()) {
      tree.set(path, null);
      for (const [inner, content] of readTree(root, path)) tree.set(inner, content);
    } else {
      tree.set(path, readFileSync(join(root, path)));
    }
  }
  return tree;
}

/** Writes a tree into a folder that is empty or not there, with the modes a log has. */
export function writeTree(root: string, tree: Tree): void {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const [path, content] of tree) {
    if (content === null) {
      mkdirSync(join(root, path), { mode: 0o700 });
      continue;
    }
    const mode = path.endsWith('public-key') ? 0o644 : 0o600;
    writeFileSync(join(root, path), content, { mode });
    chmodSync(join(root, path), mode);
  }
}
