import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Attack, Brought, Expected } from './attack.js';
import { drop, type Folder, file, put, rename } from './folder.js';
import { archive, around, linesOf, member, parts, splitMembers } from './members.js';
import { placeOf, tamperedAt } from './places.js';
import type { Random } from './random.js';
import { readRecords, type StoredRecord } from './records.js';

/** A log as it was before its sealed segments were archived, and after. */
export interface ArchivedLog {
  readonly plain: Folder;
  readonly folder: Folder;
  readonly records: readonly StoredRecord[];
  readonly publicKey: string;
  readonly hmacKey: string;
}

export function archivedLog(
  plain: Folder,
  folder: Folder,
  keys: Pick<ArchivedLog, 'publicKey' | 'hmacKey'>,
): ArchivedLog {
  return { plain, folder, records: readRecords(plain), ...keys };
}

/** One archived segment and its members. */
interface Target {
  /** Of the plain file. */
  readonly path: string;
  readonly records: readonly StoredRecord[];
  readonly members: readonly Buffer[];
  /** The first record of each member. */
  readonly firsts: readonly StoredRecord[];
  /** The first record of the next segment. */
  readonly next: StoredRecord;
}

const untouched: Expected = { verdict: 'ok', pending: 0 };

/** Rows 1, 2, 5 and 8, where the records lie in archives. */
export function archives(log: ArchivedLog, random: Random): Attack[] {
  const targets = [...new Set(log.records.map(({ path }) => path))]
    .filter((path) => log.folder.has(`${path}.gz`))
    .map((path) => targetOf(log, path));
  const levels: readonly (readonly [string, Brought])[] = [
    ['public', { keys: [log.publicKey] }],
    ['auditor', { keys: [log.publicKey], hmacKey: log.hmacKey }],
  ];
  return targets.flatMap((target) =>
    [
      ...flipped(log, target, random),
      ...moved(log, target),
      ...cut(log, target),
      ...rewritten(log, target),
      ...misshapen(log, target),
      ...besides(log, target),
    ].map(({ name, folder, expected, disturb }, i): Attack => {
      const [level, brought] = levels[i % 2]!;
      const attack = { name: `${level}: ${target.path}.gz: ${name}`, folder, brought, expected };
      return disturb === undefined ? attack : { ...attack, disturb };
    }),
  );
}

type Deed = Omit<Attack, 'brought'>;

function targetOf({ folder, records }: ArchivedLog, path: string): Target {
  const own = records.filter((record) => record.path === path);
  return {
    path,
    records: own,
    members: splitMembers(file(folder, `${path}.gz`)),
    firsts: own.filter(({ seq, offset }) => offset === 0 || seq % 256 === 0),
    next: records[own.at(-1)!.seq + 1]!,
  };
}

function replaced(
  { folder }: ArchivedLog,
  { path }: Target,
  name: string,
  bytes: Buffer,
  expected: Expected,
): Deed {
  return { name, folder: () => put(folder, `${path}.gz`, bytes), expected };
}

function changedBit(bytes: Buffer, at: number, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at]! ^= 1 << bit;
  return changed;
}

/** A bit of each part of each member. */
function flipped(log: ArchivedLog, target: Target, random: Random): Deed[] {
  return target.members.flatMap((one, i) =>
    parts.map((part) => {
      const [from, to] = [part.from(one), part.to(one)];
      const [at, bit] = [from + random.below(to - from), random.below(8)];
      const members = target.members.with(i, changedBit(one, at, bit));
      const name = `bit ${bit} of byte ${at} of member ${i}, in ${part.name}`;
      return replaced(log, target, name, Buffer.concat(members), tamperedAt(target.firsts[i]!));
    }),
  );
}

/** Where the records that follow `before` do not. */
function faultBehind(target: Target, before: number): Expected {
  const next = target.firsts[before];
  return { verdict: 'tampered', at: { seq: next?.seq ?? target.next.seq } };
}

function moved(log: ArchivedLog, target: Target): Deed[] {
  const { members } = target;
  const last = members.length - 1;
  const deed = (name: string, order: readonly number[], expected: Expected): Deed =>
    replaced(log, target, name, Buffer.concat(order.map((i) => members[i]!)), expected);
  const all = members.map((_, i) => i);
  return [
    ...all.map((i) =>
      deed(
        `member ${i} removed`,
        all.filter((each) => each !== i),
        faultBehind(target, i),
      ),
    ),
    // The last one has fewer lines than another may have, so its first copy is at fault already.
    ...all.map((i) =>
      deed(
        `member ${i} doubled`,
        all.toSpliced(i, 0, i),
        faultBehind(target, i === last ? i : i + 1),
      ),
    ),
    ...all
      .slice(0, -1)
      .map((i) =>
        deed(
          `member ${i} exchanged with the next`,
          all.with(i, i + 1).with(i + 1, i),
          faultBehind(target, i),
        ),
      ),
    deed('all members in the other order', [...all].reverse(), faultBehind(target, 0)),
    deed('only the last member', [last], faultBehind(target, 0)),
  ];
}

function cut(log: ArchivedLog, target: Target): Deed[] {
  const { members, firsts, records } = target;
  const whole = Buffer.concat(members);
  const last = members.at(-1)!;
  const before = whole.length - last.length;
  const inLast = tamperedAt(firsts.at(-1)!);
  const end = records.at(-1)!;
  const cuts = [1, 4, 8, 9, last.length - 52, last.length - 30, last.length - 1];
  const added: readonly (readonly [string, Buffer])[] = [
    ['a byte', Buffer.from('x')],
    ['a zero byte', Buffer.alloc(1)],
    ['zeros', Buffer.alloc(512)],
    ['a line', Buffer.concat([end.line, Buffer.of(10)])],
    ['an empty member', member(Buffer.alloc(0))],
    ['a usual gzip of nothing', gzipSync('')],
    ['a usual gzip of a line', gzipSync(Buffer.concat([end.line, Buffer.of(10)]))],
    ['the beginning of a member', members[0]!.subarray(0, 40)],
  ];
  return [
    ...cuts.map((bytes) =>
      replaced(log, target, `${bytes} bytes cut off the end`, whole.subarray(0, -bytes), inLast),
    ),
    replaced(log, target, 'the last member cut off', whole.subarray(0, before), {
      verdict: 'tampered',
      at: { seq: firsts.at(-1)!.seq },
    }),
    replaced(log, target, 'emptied', Buffer.alloc(0), {
      verdict: 'tampered',
      at: { seq: firsts[0]!.seq },
    }),
    // The last member has fewer lines than one may have that something follows.
    ...added.map(([what, bytes]) =>
      replaced(log, target, `${what} behind the end`, Buffer.concat([whole, bytes]), inLast),
    ),
  ];
}

function linesIn(target: Target): Buffer[] {
  return target.records.map(({ line }) => line);
}

/** Made anew in good form, of the same lines and of others. */
function rewritten(log: ArchivedLog, target: Target): Deed[] {
  const lines = linesIn(target);
  const first = target.records[0]!.seq;
  const middle = target.records.length >> 1;
  const victim = target.records[middle]!;
  const changed = Buffer.from(victim.line);
  changed[changed.indexOf('"emitter":"') + 11]! ^= 1;
  const deed = (name: string, made: readonly Buffer[], expected: Expected): Deed =>
    replaced(log, target, name, archive(made, first), expected);
  return [
    deed('a line changed', lines.with(middle, changed), tamperedAt(victim)),
    deed('a line removed', lines.toSpliced(middle, 1), {
      verdict: 'tampered',
      at: placeOf(victim),
    }),
    deed('a line doubled', lines.toSpliced(middle, 0, victim.line), {
      verdict: 'tampered',
      at: { seq: victim.seq + 1 },
    }),
    deed('the seal removed', lines.slice(0, -1), {
      verdict: 'tampered',
      at: { seq: target.next.seq - 1 },
    }),
    replaced(log, target, 'compressed less', archive(lines, first, 1), untouched),
    replaced(log, target, 'stored, not compressed', archive(lines, first, 0), untouched),
  ];
}

/** The same lines, or nearly, as something that is no archive in good form. */
function misshapen(log: ArchivedLog, target: Target): Deed[] {
  const { members, firsts, records } = target;
  const plain = file(log.plain, target.path);
  const one = members[1]!;
  const lines = linesOf(one);
  const half = lines.indexOf(10, lines.length >> 1) + 1;
  const at = tamperedAt(firsts[1]!);
  const start = tamperedAt(records[0]!);
  const second = (name: string, ...made: readonly Buffer[]): Deed =>
    replaced(log, target, name, Buffer.concat(members.toSpliced(1, 1, ...made)), at);
  const deflated = one.subarray(52, -8);
  return [
    replaced(log, target, 'the plain lines', plain, start),
    replaced(log, target, 'a usual gzip of the lines', gzipSync(plain), start),
    replaced(log, target, 'one member of all lines', member(plain), start),
    second('a member split in two', member(lines.subarray(0, half)), member(lines.subarray(half))),
    second('a member that does not end with a newline', member(lines.subarray(0, -1))),
    second('a usual gzip in the place of a member', gzipSync(lines)),
    second(
      'bytes behind the end of what is compressed',
      around(Buffer.concat([deflated, Buffer.from('xyz')]), lines),
    ),
    second('what is compressed cut short', around(deflated.subarray(0, -3), lines)),
    second('more inflates than the length says', around(deflated, lines.subarray(0, -1))),
    second('a member that is empty', member(Buffer.alloc(0))),
    second('a member of zeros that inflate to 64 MiB', member(Buffer.alloc(64 * 1024 * 1024))),
  ];
}

/** What lies beside an archive, or in its place. */
function besides(log: ArchivedLog, target: Target): Deed[] {
  const { folder, plain } = log;
  const { path, records, next } = target;
  const archived = `${path}.gz`;
  const lines = file(plain, path);
  const victim = records[records.length >> 1]!;
  const spoilt = changedBit(lines, victim.offset + victim.line.indexOf('"emitter":"') + 11, 0);
  const damaged = changedBit(file(folder, archived), 70, 3);
  const deed = (name: string, make: () => Folder, expected: Expected): Deed => ({
    name,
    folder: make,
    expected,
  });
  const gone: Expected = { verdict: 'missing', at: { range: [records[0]!.seq, next.seq] } };
  const linked = async (dir: string): Promise<void> => {
    await mkdir(join(dir, 'elsewhere'));
    await writeFile(join(dir, 'elsewhere', 'a.gz'), file(folder, archived));
    await symlink(join(dir, 'elsewhere', 'a.gz'), join(dir, archived));
  };
  return [
    deed('deleted', () => drop(folder, archived), gone),
    deed('renamed as unfinished', () => rename(folder, archived, `${archived}.tmp`), gone),
    deed(
      'a copy under an unfinished name',
      () => put(folder, `${archived}.tmp`, damaged),
      untouched,
    ),
    deed('the plain file beside', () => put(folder, path, lines), untouched),
    deed(
      'the plain file beside, with a changed byte',
      () => put(folder, path, spoilt),
      tamperedAt(victim),
    ),
    deed(
      'the plain file beside, cut short',
      () => put(folder, path, lines.subarray(0, victim.offset)),
      {
        verdict: 'tampered',
        at: { seq: victim.seq },
      },
    ),
    deed(
      'damaged, the plain file beside',
      () => put(put(folder, path, lines), archived, damaged),
      untouched,
    ),
    { ...deed('a link to a copy of it', () => drop(folder, archived), gone), disturb: linked },
    {
      ...deed('a folder', () => drop(folder, archived), gone),
      disturb: async (dir) => void (await mkdir(join(dir, archived))),
    },
  ];
}
