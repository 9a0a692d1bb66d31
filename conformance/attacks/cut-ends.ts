import type { Attack, Brought, Expected } from './attack.js';
import { type Folder, file, only, pathsIn, put } from './folder.js';
import { asAuditor, asPublic, type Logs, type StoredLog } from './logs.js';
import { parseCheckpoint } from './notes.js';
import type { Random } from './random.js';
import { cutRecords, type StoredRecord } from './records.js';

/** Row 3: records are cut off the end, at and between records, with and without the checkpoints of more. */
export function cutEnds(logs: Logs, random: Random): Attack[] {
  const { records } = logs.closed;
  const bounds = [...records.keys()];
  const near = bounds.slice(-9);
  const atSegments = records.filter(({ offset }) => offset === 0).map(({ seq }) => seq);
  const chosen = new Set([0, 1, ...near, ...atSegments, ...random.sample(bounds, 10)]);
  return [
    ...[...chosen].flatMap((size, i) => cutsAt(logs, size, i % 2 === 0)),
    ...cutPending(logs),
    ...rolledBack(logs),
  ];
}

function cutsAt(logs: Logs, size: number, auditor: boolean): Attack[] {
  const { folder, records, covered } = logs.closed;
  const next = records[size]!;
  const brought = auditor ? asAuditor(logs) : asPublic(logs);
  const expected: Expected = { verdict: 'truncated', at: { range: [size, covered] } };
  const cut = cutRecords(folder, records, size);
  const attack = (name: string, make: () => Folder): Attack => ({
    name: `${auditor ? 'auditor' : 'public'}: cut to ${size} records${name}`,
    folder: make,
    brought,
    expected,
  });
  const ending = (bytes: number) => (): Folder => {
    const before = cut.get(next.path) ?? Buffer.alloc(0);
    return put(cut, next.path, Buffer.concat([before, next.line.subarray(0, bytes)]));
  };
  const { length } = next.line;
  return [
    attack('', () => cut),
    attack(' and one byte', ending(1)),
    attack(' and half a record', ending(Math.floor(length / 2))),
    attack(' and a record without its last byte', ending(length - 1)),
    attack(' and a record without its newline', ending(length)),
    ...(next.offset === 0 ? [attack(' and an empty segment', ending(0))] : []),
  ];
}

/** Nothing signed says how many pending records there were. */
function cutPending(logs: Logs): Attack[] {
  const { folder, records, covered } = logs.open;
  const sizes = [covered, covered + 1, covered + 7, records.length - 1];
  return sizes.flatMap((size) =>
    [asPublic(logs), asAuditor(logs)].flatMap((brought): Attack[] => {
      const level = brought.hmacKey === undefined ? 'public' : 'auditor';
      const cut = cutRecords(folder, records, size);
      const next = records[size]!;
      const half = next.line.subarray(0, 99);
      const expected: Expected = { verdict: 'ok', pending: size - covered };
      return [
        { name: `${level}: pending cut to ${size}`, folder: () => cut, brought, expected },
        {
          name: `${level}: pending cut to ${size} and a half`,
          folder: () => put(cut, next.path, Buffer.concat([file(cut, next.path), half])),
          brought,
          expected,
        },
      ];
    }),
  );
}

/** The log as it could have been when a checkpoint that it holds itself was its newest. */
export function backTo(log: StoredLog, checkpoint: Buffer): Folder {
  const { size } = parseCheckpoint(checkpoint);
  const cut = cutRecords(log.folder, log.records, size);
  const kept = only(cut, (path) => !path.startsWith('checkpoints/') || sizeOf(path) <= size);
  return put(kept, 'checkpoint', checkpoint);
}

function sizeOf(path: string): number {
  return Number(path.slice('checkpoints/'.length));
}

/** Cut back together with its checkpoints, a log looks whole to whoever holds nothing. */
function rolledBack(logs: Logs): Attack[] {
  const { folder, covered } = logs.closed;
  const sealed = pathsIn(folder, 'checkpoints').filter((_, i) => i % 3 === 0);
  return sealed.flatMap((path) => {
    const checkpoint = file(folder, path);
    const { size } = parseCheckpoint(checkpoint);
    const older = backTo(logs.closed, checkpoint);
    const attack = (who: string, brought: Brought, expected: Expected): Attack => ({
      name: `rolled back to ${size}: ${who}`,
      folder: () => older,
      brought,
      expected,
    });
    const rolled: Expected = { verdict: 'rolled_back', at: { range: [size, covered] } };
    return [
      attack('public, no evidence', asPublic(logs), { verdict: 'ok', pending: 0 }),
      attack('auditor, no evidence', asAuditor(logs), { verdict: 'ok', pending: 0 }),
      attack('public, newest held', asPublic(logs, { held: [logs.held.closed] }), rolled),
      attack('auditor, newest held', asAuditor(logs, { held: [logs.held.closed] }), rolled),
      attack(
        'public, an old and the newest held',
        asPublic(logs, { held: [logs.held.early, logs.held.closed] }),
        {
          verdict: 'rolled_back',
        },
      ),
    ];
  });
}

/** Where a segment begins and ends, in seqs. */
export function rangeOf(records: readonly StoredRecord[], path: string): [number, number] {
  const own = records.filter((record) => record.path === path);
  return [own[0]!.seq, own.at(-1)!.seq + 1];
}
