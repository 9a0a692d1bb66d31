import type { Attack, Expected } from './attack.js';
import { file, pathsIn, put } from './folder.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import { tamperedAt, tamperedFile } from './places.js';
import type { Random } from './random.js';
import type { StoredRecord } from './records.js';

/** Row 1: one byte of one file is changed, wherever and to whatever chance says. */
export function byteFlips(logs: Logs, random: Random): Attack[] {
  const { folder, records } = logs.closed;
  const attacks: Attack[] = [];
  const flip = (
    count: number,
    where: () => { path: string; offset: number },
    expected: (path: string, offset: number) => Expected,
  ): void => {
    for (let i = 0; i < count; i++) {
      const { path, offset } = where();
      const before = file(folder, path)[offset]!;
      const after = anotherByte(before, random);
      const auditor = random.below(2) === 0;
      attacks.push({
        name: `flip ${attacks.length}, ${auditor ? 'auditor' : 'public'}: byte ${offset} of ${path}: ${before} to ${after}`,
        folder: () => {
          const bytes = Buffer.from(file(folder, path));
          bytes[offset] = after;
          return put(folder, path, bytes);
        },
        brought: auditor ? asAuditor(logs) : asPublic(logs),
        expected: expected(path, offset),
      });
    }
  };
  const anyByteOf = (paths: readonly string[]) => () => {
    const path = random.pick(paths);
    return { path, offset: random.below(file(folder, path).length) };
  };
  const inRecord = () => {
    const { path, offset, line } = random.pick(records);
    return { path, offset: offset + random.below(line.length) };
  };
  const newlineOf = () => {
    const { path, offset, line } = random.pick(records);
    return { path, offset: offset + line.length };
  };
  const hit = (path: string, offset: number) => tamperedAt(recordAt(records, path, offset));
  const tiles = pathsIn(folder, 'tile');
  flip(220, inRecord, hit);
  flip(20, newlineOf, hit);
  flip(40, anyByteOf(['checkpoint']), tamperedFile);
  flip(40, anyByteOf(pathsIn(folder, 'checkpoints')), tamperedFile);
  for (const tile of tiles) flip(20, anyByteOf([tile]), tamperedFile);
  flip(10, anyByteOf(pathsIn(folder, 'torn')), tamperedFile);
  const besides = pathsIn(folder, 'segments').filter((path) => path.endsWith('.tally'));
  flip(20, anyByteOf(besides), tamperedFile);
  if (file(folder, 'lock').length > 0)
    flip(5, anyByteOf(['lock']), () => ({ verdict: 'ok', pending: 0 }));
  return attacks;
}

function anotherByte(before: number, random: Random): number {
  const choices = [
    before ^ (1 << random.below(8)),
    random.below(256),
    random.pick([0x00, 0x0a, 0x0d, 0x20, 0x22, 0x5c, 0xff]),
  ];
  const after = random.pick(choices);
  return after === before ? before ^ 1 : after;
}

function recordAt(records: readonly StoredRecord[], path: string, offset: number): StoredRecord {
  return records.findLast((record) => record.path === path && record.offset <= offset)!;
}
