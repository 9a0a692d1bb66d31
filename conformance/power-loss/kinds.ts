import { dirname } from 'node:path';
import type { Sync } from './disk.js';

/** A path with what differs between two runs taken out. */
export function placeOf(path: string): string {
  return path
    .replace(/^(data|vault)\//, '')
    .replace(/\d{20}-[0-9a-f]+\.bin/, 'N.bin')
    .replace(/\d{20}/, 'N')
    .replace(/epoch-\d+/, 'epoch-N')
    .replace(/subjects\/[0-9a-f]{64}/, 'subjects/ID')
    .replace(/signing-key-[0-9a-f]{8}/, 'signing-key-ID')
    .replace(/\.p\/\d+/, '.p/W');
}

/**
 * Names a sync by its target and by what it makes durable, so that each place in the writer has its own names. Undefined
 * when nothing unsynced in it matters: the lock file and the tiles may be lost.
 */
export function kindOf(sync: Sync): string | undefined {
  const target = placeOf(sync.path) === '' ? '.' : placeOf(sync.path);
  const relied = sync.pending.filter(({ path }) => !/\/(tile|lock)$/.test(path));
  const own = relied.filter(({ program }) => program === sync.program);
  if (relied.length === 0) {
    return sync.isFolder ? undefined : `${sync.name} ${target}: nothing`;
  }
  if (own.length === 0) return `${sync.name} ${target}: what an earlier process left`;
  const what = own.map(({ change, path }) => {
    if (!sync.isFolder) return change.kind;
    const name = placeOf(path).replace(/\.tmp$/, '');
    return `${change.kind === 'unlink' ? '-' : ''}${dirname(name) === '.' ? name : name.slice(dirname(name).length + 1)}`;
  });
  return `${sync.name} ${target}: ${[...new Set(what)].sort().join(' ')}`;
}
