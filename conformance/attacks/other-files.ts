import { randomBytes } from 'node:crypto';
import type { Attack, Expected } from './attack.js';
import { drop, type Folder, file, pathsIn, put } from './folder.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import { leafHash } from './merkle.js';
import { tamperedAt, tamperedFile } from './places.js';
import type { Random } from './random.js';
import { replaceLine, type StoredRecord } from './records.js';

const hashBytes = 32;
const ok: Expected = { verdict: 'ok', pending: 0 };

/** What lies beside the records: tiles are derived and may be absent but not wrong, the rest has no meaning. */
export function otherFiles(logs: Logs, random: Random): Attack[] {
  return [...tiles(logs, random), ...changedWithTiles(logs, random), ...beside(logs)];
}

function tiles(logs: Logs, random: Random): Attack[] {
  const { folder } = logs.closed;
  const paths = pathsIn(folder, 'tile');
  const attack = (name: string, changed: Folder, expected: Expected): Attack => ({
    name: `tiles: ${name}`,
    folder: () => changed,
    brought: asPublic(logs),
    expected,
  });
  const each = paths.flatMap((path) => {
    const bytes = file(folder, path);
    const count = bytes.length / hashBytes;
    const entry = random.below(count);
    const zeroed = Buffer.from(bytes);
    zeroed.fill(0, entry * hashBytes, (entry + 1) * hashBytes);
    const other = Buffer.from(bytes);
    other.set(randomBytes(hashBytes), entry * hashBytes);
    return [
      attack(`${path} removed`, drop(folder, path), ok),
      attack(`${path} emptied`, put(folder, path, ''), ok),
      attack(`${path} zeroed`, put(folder, path, Buffer.alloc(bytes.length)), ok),
      attack(
        `${path} cut inside an entry`,
        put(folder, path, bytes.subarray(0, bytes.length - 5)),
        ok,
      ),
      attack(`${path} entry ${entry} zeroed`, put(folder, path, zeroed), ok),
      attack(`${path} entry ${entry} replaced`, put(folder, path, other), tamperedFile(path)),
      attack(
        `${path} all replaced`,
        put(folder, path, randomBytes(bytes.length)),
        tamperedFile(path),
      ),
      attack(`${path} an unfinished write beside`, put(folder, `${path}.tmp`, 'x'), ok),
    ];
  });
  const full = file(folder, 'tile/0/000');
  return [
    ...each,
    attack('all removed', drop(folder, ...paths), ok),
    attack('a tile of records to come', put(folder, 'tile/0/002', randomBytes(8192)), ok),
    attack('a level to come', put(folder, 'tile/2/000.p/1', randomBytes(32)), ok),
    attack(
      'a wrong narrower tile beside the full one',
      put(folder, 'tile/0/000.p/7', randomBytes(7 * hashBytes)),
      {
        verdict: 'tampered',
      },
    ),
    attack(
      'a right narrower tile beside the full one',
      put(folder, 'tile/0/000.p/7', full.subarray(0, 7 * hashBytes)),
      ok,
    ),
    attack(
      'a wrong narrower tile beside the partial one',
      put(folder, 'tile/0/001.p/3', randomBytes(3 * hashBytes)),
      {
        verdict: 'tampered',
      },
    ),
  ];
}

/** A changed record whose leaf in the tiles was changed with it, or whose tiles are gone, is still under the root. */
function changedWithTiles(logs: Logs, random: Random): Attack[] {
  const { folder, records } = logs.closed;
  return random.sample(records.slice(1), 20).flatMap((record): Attack[] => {
    const line = Buffer.from(record.line.toString().replace('"timestamp":"2', '"timestamp":"3'));
    const changed = replaceLine(folder, record, line);
    const path = record.seq < 256 ? 'tile/0/000' : pathsIn(folder, 'tile/0/001.p')[0]!;
    const tile = Buffer.from(file(folder, path));
    tile.set(leafHash(line), (record.seq % 256) * hashBytes);
    const bare = drop(changed, ...pathsIn(folder, 'tile'));
    const around: Expected = { verdict: 'tampered', at: { around: record.seq } };
    const named = `record ${record.seq} changed`;
    return [
      attackOn(`${named} with its leaf`, put(changed, path, tile), asPublic(logs), around),
      attackOn(
        `${named} with its leaf, auditor`,
        put(changed, path, tile),
        asAuditor(logs),
        exact(record),
      ),
      attackOn(`${named}, tiles removed`, bare, asPublic(logs), around),
      attackOn(`${named}, tiles removed, auditor`, bare, asAuditor(logs), exact(record)),
    ];
  });
}

function exact(record: StoredRecord): Expected {
  return tamperedAt(record);
}

function attackOn(
  name: string,
  changed: Folder,
  brought: Attack['brought'],
  expected: Expected,
): Attack {
  return { name, folder: () => changed, brought, expected };
}

function beside(logs: Logs): Attack[] {
  const { folder } = logs.closed;
  const torn = pathsIn(folder, 'torn')[0]!;
  const bytes = file(folder, torn);
  const attack = (name: string, changed: Folder, expected: Expected): Attack =>
    attackOn(`beside: ${name}`, changed, asPublic(logs), expected);
  return [
    attack('lock emptied', put(folder, 'lock', ''), ok),
    attack('lock filled', put(folder, 'lock', randomBytes(512)), ok),
    attack('lock removed', drop(folder, 'lock'), ok),
    attack('an unknown file', put(folder, 'README', 'hello'), ok),
    attack('an unknown folder', put(folder, 'notes/1', 'hello'), ok),
    attack('an unknown file among the segments', put(folder, 'segments/notes.txt', '{}'), ok),
    attack('an unknown file among the checkpoints', put(folder, 'checkpoints/notes', 'x'), ok),
    attack('a checkpoint under no size', put(folder, 'checkpoints/000', 'x'), ok),
    attack('an unfinished checkpoint', put(folder, 'checkpoint.tmp', 'x'), ok),
    attack('torn bytes removed', drop(folder, torn), tamperedFile(torn)),
    attack('torn bytes emptied', put(folder, torn, ''), tamperedFile(torn)),
    attack(
      'torn bytes grown',
      put(folder, torn, Buffer.concat([bytes, bytes])),
      tamperedFile(torn),
    ),
    attack('torn bytes renamed', put(drop(folder, torn), `${torn}.old`, bytes), tamperedFile(torn)),
    attack('more torn bytes', put(folder, 'torn/more.bin', 'x'), ok),
  ];
}
