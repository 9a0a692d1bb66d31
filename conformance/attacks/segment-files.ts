import { execFile } from 'node:child_process';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Attack, Brought, Expected } from './attack.js';
import { rangeOf } from './cut-ends.js';
import { drop, type Folder, file, only, pathsIn, put, rename, segmentPaths } from './folder.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import { tamperedFile } from './places.js';
import type { Random } from './random.js';

/** Row 5, and rows 2 and 3 as far as whole segment files go. */
export function segmentFiles(logs: Logs, random: Random): Attack[] {
  return [
    ...deleted(logs, random),
    ...allDeleted(logs),
    ...misplaced(logs, random),
    ...notFiles(logs),
  ];
}

function levels(logs: Logs): readonly (readonly [string, Brought])[] {
  return [
    ['public', asPublic(logs)],
    ['auditor', asAuditor(logs)],
  ];
}

function deleted(logs: Logs, random: Random): Attack[] {
  const { folder, records, covered } = logs.closed;
  const paths = segmentPaths(folder);
  const tiles = [...folder.keys()].filter((path) => path.startsWith('tile/'));
  return levels(logs).flatMap(([level, brought]) => {
    const attack = (name: string, gone: readonly string[], expected: Expected): Attack => ({
      name: `${level}: ${name} deleted`,
      folder: () => drop(folder, ...gone),
      brought,
      expected,
    });
    const single = paths.slice(0, -1).flatMap((path) => {
      const expected: Expected = { verdict: 'missing', at: { range: rangeOf(records, path) } };
      return [
        attack(path, [path], expected),
        attack(`${path} and the tiles`, [path, ...tiles], expected),
        attack(`${path} and its checkpoint`, [path, checkpointAfter(records, path)], expected),
      ];
    });
    const pairs = Array.from({ length: 8 }, (_, i): Attack => {
      const gone = random.sample(paths.slice(0, -1), 2).sort();
      const [first] = rangeOf(records, gone[0]!);
      const [, end] = rangeOf(records, gone[1]!);
      const joined = rangeOf(records, gone[0]!)[1] === rangeOf(records, gone[1]!)[0];
      const range: [number, number] = joined ? [first, end] : rangeOf(records, gone[0]!);
      return attack(`pair ${i} ${gone.join(' and ')}`, gone, { verdict: 'missing', at: { range } });
    });
    const last = paths.at(-1)!;
    const [lastFirst] = rangeOf(records, last);
    const short: Expected = { verdict: 'truncated', at: { range: [lastFirst, covered] } };
    return [
      ...single,
      ...pairs,
      attack(last, [last], short),
      attack(`the first and ${last}`, [paths[0]!, last], { verdict: 'truncated' }),
      attack('all but the last', paths.slice(0, -1), {
        verdict: 'missing',
        at: { range: [0, lastFirst] },
      }),
    ];
  });
}

function checkpointAfter(records: Parameters<typeof rangeOf>[0], path: string): string {
  return `checkpoints/${String(rangeOf(records, path)[1]).padStart(20, '0')}`;
}

/** With nothing left to read, the checkpoints that are left and those held say what is gone. */
function allDeleted(logs: Logs): Attack[] {
  const { folder, covered } = logs.closed;
  const bare = drop(folder, ...segmentPaths(folder));
  const noSegments = (dir: string) => rm(join(dir, 'segments'), { recursive: true });
  const nothing: Folder = new Map();
  const gone: Expected = { verdict: 'truncated', at: { range: [0, covered] } };
  const rolled: Expected = { verdict: 'rolled_back', at: { range: [0, covered] } };
  return levels(logs).flatMap(([level, brought]) => {
    const held = { ...brought, held: [logs.held.closed] };
    const attack = (name: string, left: Folder, who: Brought, expected: Expected): Attack => ({
      name: `${level}: ${name}`,
      folder: () => left,
      brought: who,
      expected,
    });
    const without = (each: Attack): Attack => ({
      ...each,
      name: `${each.name}, its folder too`,
      disturb: noSegments,
    });
    const cases = [
      attack('all segments deleted', bare, brought, gone),
      attack('all segments deleted, newest held', bare, held, gone),
      attack('folder emptied', nothing, brought, { verdict: 'unverifiable' }),
      attack('folder emptied, newest held', nothing, held, rolled),
      attack(
        'all but the lock deleted',
        only(folder, (path) => path === 'lock'),
        held,
        rolled,
      ),
    ];
    return [...cases, ...cases.map(without)];
  });
}

/** Files that are copies, under wrong names, or out of their place. */
function misplaced(logs: Logs, random: Random): Attack[] {
  const { folder, records } = logs.closed;
  const paths = segmentPaths(folder);
  const named = (seq: number) => `segments/${String(seq).padStart(20, '0')}.jsonl`;
  const chosen = [paths[0]!, paths[3]!, paths[7]!, ...random.sample(paths.slice(1, -1), 3)];
  const unique = [...new Set([...chosen, paths.at(-1)!])];
  return unique.flatMap((path, i) => {
    const [level, brought] = levels(logs)[i % 2]!;
    const [first, end] = rangeOf(records, path);
    const last = end === records.length;
    const bytes = file(folder, path);
    const attack = (name: string, make: () => Folder, expected: Expected): Attack => ({
      name: `${level}: ${path} ${name}`,
      folder: make,
      brought,
      expected,
    });
    const at = (seq: number): Expected => ({ verdict: 'tampered', at: { seq } });
    const gone: Expected = last
      ? { verdict: 'truncated' }
      : { verdict: 'missing', at: { range: [first, end] } };
    const other = paths[paths.indexOf(path) === 5 ? 6 : 5]!;
    const [otherFirst] = rangeOf(records, other);
    return [
      attack('named one later', () => rename(folder, path, named(first + 1)), at(first)),
      attack(
        'named far later',
        () => rename(folder, path, named(99_999)),
        last ? at(first) : gonePlus(gone, records.length),
      ),
      attack(
        'copied under the next seq',
        () => put(folder, named(first + 1), bytes),
        at(first + 1),
      ),
      attack(
        'copied behind the end',
        () => put(folder, named(records.length), bytes),
        at(records.length),
      ),
      attack(
        `exchanged with ${other}`,
        () => put(put(folder, path, file(folder, other)), other, bytes),
        at(Math.min(first, otherFirst)),
      ),
      attack('emptied', () => put(folder, path, ''), last ? { verdict: 'truncated' } : at(first)),
      attack('moved out of sight', () => rename(folder, path, `${path}.bak`), gone),
      attack('renamed as unfinished', () => rename(folder, path, `${path}.tmp`), gone),
      attack('copied out of sight', () => put(folder, `${path}.bak`, bytes), {
        verdict: 'ok',
        pending: 0,
      }),
      attack('copied with a short name', () => put(folder, `segments/${first}.jsonl`, bytes), {
        verdict: 'ok',
        pending: 0,
      }),
    ];
  });
}

/** A segment far behind the end that begins with another record is a fault where the gap before the last begins. */
function gonePlus(gone: Expected, reach: number): Expected {
  return gone.verdict === 'missing' ? { verdict: 'tampered', at: { seq: reach } } : gone;
}

/** What is no regular file counts as absent or as a bad checkpoint; a verifier never waits on it. */
function notFiles(logs: Logs): Attack[] {
  const { folder, records } = logs.closed;
  const segment = segmentPaths(folder)[4]!;
  const tile = 'tile/0/000';
  const torn = pathsIn(folder, 'torn')[0]!;
  const sealed = pathsIn(folder, 'checkpoints')[2]!;
  const gone: Expected = { verdict: 'missing', at: { range: rangeOf(records, segment) } };
  const expected: readonly (readonly [string, Expected])[] = [
    [segment, gone],
    [tile, { verdict: 'ok' }],
    [torn, tamperedFile(torn)],
    ['checkpoint', tamperedFile('checkpoint')],
    [sealed, tamperedFile(sealed)],
  ];
  const kinds: Readonly<Record<string, (at: string, path: string) => Promise<unknown>>> = {
    'a pipe': (at) => promisify(execFile)('mkfifo', [at]),
    'a folder': (at) => mkdir(at),
    'a link to nothing': (at) => symlink('/nonexistent/elsewhere', at),
    'a link to itself': (at) => symlink(basename(at), at),
    'a link to a device': (at) => symlink('/dev/zero', at),
    'a link to a copy of itself': async (at, path) => {
      await writeFile(`${at}.copy`, file(folder, path));
      await symlink(`${basename(at)}.copy`, at);
    },
  };
  return expected.flatMap(([path, seen]) =>
    Object.entries(kinds).map(([kind, make]) => ({
      name: `not a file: ${path} ${kind}`,
      folder: () => drop(folder, path),
      brought: asPublic(logs),
      expected: seen,
      disturb: async (dir: string) => {
        await mkdir(dirname(join(dir, path)), { recursive: true });
        await make(join(dir, path), path);
      },
    })),
  );
}
