import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  formatNote,
  type Note,
  type NoteSignature,
  parseNote,
  signCheckpoint,
} from './checkpoint.js';
import { systemClock } from './clock.js';
import {
  isThere,
  makeFolder,
  namesIn,
  readIfThere,
  replaceFileDurably,
  syncFolder,
  writeAll,
} from './durable.js';
import { AuditError, type AuditErrorCode, reasonOf } from './errors.js';
import type { JsonObject } from './event.js';
import { readFolderCheckpoints } from './evidence.js';
import { setLogAside } from './former.js';
import { emptyHead, type Head } from './head.js';
import { createKeys, type Keys, readHead, readKeys } from './keys.js';
import { takeLock } from './lock.js';
import { normaliseOptions } from './options.js';
import { findLine, parseRecord } from './reader.js';
import {
  findStanding,
  rebuildTiles,
  resumeKeys,
  type Standing,
  settleEpochKey,
} from './recovery.js';
import { type Damaged, type Scan, scanDamage } from './repair-scan.js';
import { damagedFolder, describeSetAside, repairedDetails, repairedRangesMax } from './repaired.js';
import { archivePath, listSegments, segmentPath, sequenceName } from './segment.js';
import { isArchive, openBytes } from './segment-bytes.js';
import { signingIsElsewhere } from './signing-keys.js';
import { setAside, unrecordedTorn } from './torn.js';
import { Frontier } from './tree.js';
import { verifyLog } from './verify.js';
import { repairedHere } from './verify-repair.js';
import type { Finding, VerifyReport } from './verify-report.js';
import { Writer } from './writer.js';

export interface RepairOptions {
  readonly dir: string;
  readonly keysDir: string;
  /** Only says what would be done. */
  readonly dryRun?: boolean | undefined;
}

export interface RepairReport {
  /** `none`: the log needs no repair. `continue`: the tree goes on from the head. `new_origin`: the head or keys are lost, and a new log names the old. */
  readonly action: 'none' | 'continue' | 'new_origin';
  /** Why. */
  readonly reason: string;
  /** Of the log that goes on. Absent for a new one that was not made yet. */
  readonly origin?: string;
  /** Records that are lost by this repair: first seq, and the seq behind the last. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Files that are set aside as they are, below the log folder. */
  readonly files: readonly string[];
  /** Where they are then, below the log folder. */
  readonly folder?: string;
  /** Of the `log.repaired` record. */
  readonly seq?: number;
  /** What verify goes on finding besides the repair itself; not known in a dry run. */
  readonly remaining: readonly Finding[];
}

/**
 * Makes a log usable again that verify calls damaged or that does not open any more. Deletes nothing: damaged files are set aside as
 * they are, their hash goes into a `log.repaired` record, and the tree goes on from the last head, so that no checkpoint contradicts an
 * older one. Verify never calls such a log ok again (docs/format.md §9.6). Where the head or the keys are lost, the whole log is set aside and a
 * new one begins, whose first record names it. Throws `log_locked` while the log is open, `not_found` when there is none.
 */
export async function repairLog(options: RepairOptions): Promise<RepairReport> {
  const { dir, keysDir } = options;
  if (!isThere(dir)) throw new AuditError('not_found', `there is no log at ${dir}`);
  makeFolder(keysDir);
  const locks = [takeLock(path.join(dir, 'lock'), `the log ${dir}`)];
  try {
    locks.push(takeLock(path.join(keysDir, 'lock'), `the keys folder ${keysDir}`));
    return await repairLocked(options);
  } finally {
    for (const lock of locks) lock.release();
  }
}

/** What makes going on impossible. Keys of another log, or open to others, are for the caller to put right. */
const lostCodes: ReadonlySet<AuditErrorCode> = new Set([
  'keys_missing',
  'bad_key',
  'log_damaged',
  'log_rolled_back',
]);

/** A signing key that the keys folder does not hold is not lost because it could not be reached now. */
function keyIsElsewhere({ code }: AuditError, keysDir: string): boolean {
  if (code !== 'keys_missing' && code !== 'bad_key') return false;
  try {
    return signingIsElsewhere(keysDir);
  } catch (error) {
    // Where it is, is lost too.
    if (error instanceof AuditError) return false;
    throw error;
  }
}

interface Usable {
  readonly keys: Keys;
  readonly head: Head;
  readonly epochKey: Buffer;
}

async function repairLocked(options: RepairOptions): Promise<RepairReport> {
  const { dir, keysDir } = options;
  let usable: Usable;
  let scan: Scan;
  try {
    usable = readUsable(dir, keysDir);
    scan = scanDamage(dir, usable.keys, usable.head, usable.epochKey);
    resumeKeys(usable.keys, usable.head, scan.tail);
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    if (!lostCodes.has(error.code) || keyIsElsewhere(error, keysDir)) throw error;
    return beginAnew(options, error);
  }
  const verified = await verifyAs(dir, usable);
  const damagedTiles = verified.findings.some(({ kind }) => kind === 'tile');
  const wrong = [...scan.damaged, ...scan.badCheckpoints, ...scan.news];
  if (wrong.length === 0 && !damagedTiles) {
    return {
      ...nothing,
      origin: usable.keys.origin,
      remaining: unmendable(verified),
      reason: soundReason(verified),
    };
  }
  const moveTiles = damagedTiles || !scan.byLeaf;
  const report = goOn(options, usable, scan, { verified, moveTiles });
  if (options.dryRun) return report;
  return { ...report, remaining: unmendable(await verifyAs(dir, readUsable(dir, keysDir))) };
}

/** What no repair touches. That there was one is no news. */
function unmendable({ findings }: VerifyReport): readonly Finding[] {
  return findings.filter(
    ({ kind, reason }) =>
      kind !== 'range' && !(kind === 'repair' && reason.startsWith(repairedHere)),
  );
}

const nothing = { action: 'none', ranges: [], files: [] } as const;

function soundReason({ verdict, findings }: VerifyReport): string {
  if (verdict === 'ok') return 'every record is as it was written';
  return `nothing that a repair can mend; verify says ${verdict}: ${findings[0]?.reason ?? ''}`;
}

/** Everything that going on takes. Throws when it is not there. */
function readUsable(dir: string, keysDir: string): Usable {
  const keys = readKeys(keysDir);
  if (keys === undefined) throw new AuditError('keys_missing', `${keysDir} holds no keys`);
  const head = readHead(keys);
  if (head.origin !== keys.origin)
    throw new AuditError('wrong_log', `the head in ${keysDir} is of ${head.origin}`);
  const claimed = claimedOrigin(dir);
  if (claimed !== undefined && claimed !== keys.origin) {
    throw new AuditError(
      'wrong_log',
      `the log in ${dir} is of ${claimed}, the keys of ${keys.origin}`,
    );
  }
  const epochKey = settleEpochKey(keys, head);
  if (head.size > 0) return { keys, head, epochKey };
  // Nothing was ever signed: as long as it opens, recovery is enough.
  findStanding(dir, keys);
  return { keys, head, epochKey };
}

/** As the record at seq 0 has it; undefined where there is none, or it cannot be read. */
function claimedOrigin(dir: string): string | undefined {
  try {
    const first = findLine(dir, 0);
    const origin = first && parseRecord(first.line).details?.['origin'];
    return typeof origin === 'string' ? origin : undefined;
  } catch {
    return undefined;
  }
}

async function verifyAs(dir: string, { keys, head }: Usable): Promise<VerifyReport> {
  const report = await verifyLog({
    dir,
    publicKeys: [keys.signing.publicKey.text],
    head: readIfThere(path.join(keys.folder, 'head')),
  });
  return head.size === 0 ? { ...report, findings: [] } : report;
}

interface Why {
  readonly verified: VerifyReport;
  readonly moveTiles: boolean;
}

/** Sets the damage aside and takes the tree up from the head. */
function goOn(options: RepairOptions, usable: Usable, scan: Scan, why: Why): RepairReport {
  const { dir } = options;
  const { keys } = usable;
  const { seq } = scan.tail;
  const { verdict, findings } = why.verified;
  const finding = (findings[0]?.reason ?? 'the log does not open').slice(0, 1_000);
  const tiles = why.moveTiles && isThere(path.join(dir, 'tile')) ? ['tile'] : [];
  const files = [
    ...scan.damaged.map(({ segment }) => `segments/${path.basename(segment.path)}`),
    ...scan.badCheckpoints,
    ...tiles,
  ];
  const report: RepairReport = {
    action: 'continue',
    reason: `${verdict}: ${finding}`,
    origin: keys.origin,
    ranges: scan.news.map(({ firstSeq, lastSeq }) => [firstSeq, lastSeq + 1]),
    files,
    folder: path.relative(dir, damagedFolder(dir, seq)),
    seq,
    remaining: [],
  };
  if (scan.ranges.length > repairedRangesMax) {
    throw new AuditError(
      'log_damaged',
      `the log is damaged in ${scan.ranges.length} places, more than one record can name; restore it from a copy`,
    );
  }
  if (options.dryRun) return report;
  keys.signing.wipeLeftovers();
  const folder = damagedFolder(dir, seq);
  makeFolder(folder);
  for (const [size, root] of scan.bounds) {
    if (size === 0) continue;
    makeFolder(path.join(dir, 'checkpoints'));
    const file = `checkpoints/${sequenceName(size)}`;
    if (scan.badCheckpoints.includes(file)) moveAside(dir, folder, file);
    const note = signCheckpoint({ origin: keys.origin, size, root }, keys.signing.signers);
    replaceFileDurably(path.join(dir, file), withLines(readIfThere(path.join(dir, file)), note));
  }
  for (const one of scan.damaged) setSegmentAside(dir, folder, one);
  dropMoved(dir, folder);
  for (const file of [...scan.badCheckpoints, ...tiles]) moveAside(dir, folder, file);
  const repaired = { ranges: scan.ranges, set: describeSetAside(folder) };
  const repair = repairedDetails(repaired, { reason: verdict, finding });
  const standing = standingBehind(options, usable, scan, repair);
  const writer = new Writer(normaliseOptions(options), keys, standing, systemClock);
  writer.close();
  return report;
}

/** A note with the signatures of another of the same text, whose keys may be gone since, before its own. */
function withLines(earlier: string | undefined, text: string): string {
  if (earlier === undefined) return text;
  const [before, note] = [earlier, text].map((each) => parseNote(Buffer.from(each))) as [
    Note,
    Note,
  ];
  if (before.text !== note.text) return text;
  const isNew = (line: NoteSignature): boolean =>
    !before.signatures.some(({ name, hash }) => name === line.name && hash === line.hash);
  return formatNote({
    text: note.text,
    signatures: [...before.signatures, ...note.signatures.filter(isNew)],
  });
}

/** A file that an interrupted repair has moved already is not there any more. */
function moveAside(dir: string, folder: string, file: string): void {
  const from = path.join(dir, file);
  if (!isThere(from)) return;
  makeFolder(path.dirname(path.join(folder, file)));
  fs.renameSync(from, path.join(folder, file));
  syncFolder(path.dirname(path.join(folder, file)));
  syncFolder(path.dirname(from));
}

/** The file as it is goes to the folder; the lines of it that are authentic take its place. */
function setSegmentAside(dir: string, folder: string, { segment, keptBytes, tail }: Damaged): void {
  const aside = path.join(folder, 'segments', path.basename(segment.path));
  // Of an archive too, the lines go on in a plain file.
  const plain = segmentPath(dir, segment.firstSeq);
  makeFolder(path.dirname(aside));
  fs.rmSync(aside, { force: true });
  fs.linkSync(segment.path, aside);
  syncFolder(path.dirname(aside));
  if (tail !== undefined) copyPart(aside, tail.from, tail.to, segmentPath(dir, tail.firstSeq));
  if (keptBytes > 0) copyPart(aside, 0, keptBytes, plain);
  else if (tail?.firstSeq !== segment.firstSeq) fs.rmSync(plain, { force: true });
  if (segment.path !== plain) fs.rmSync(segment.path);
  syncFolder(path.dirname(plain));
}

/** An interrupted repair leaves a damaged archive beside the lines that it saved, where nobody would look for it any more. */
function dropMoved(dir: string, folder: string): void {
  for (const name of namesIn(path.join(folder, 'segments')).filter(isArchive)) {
    const firstSeq = Number(name.slice(0, 20));
    if (isThere(segmentPath(dir, firstSeq))) fs.rmSync(archivePath(dir, firstSeq), { force: true });
  }
}

const copyBytes = 1024 * 1024;

function copyPart(source: string, from: number, to: number, target: string): void {
  const temporary = `${target}.tmp`;
  const input = openBytes(source);
  const output = fs.openSync(temporary, 'w', 0o600);
  try {
    const block = Buffer.alloc(Math.min(copyBytes, to - from));
    for (let at = from; at < to; ) {
      const got = input.read(block, 0, Math.min(block.length, to - at), at);
      if (got === 0)
        throw new AuditError('log_failed', `${source} became shorter while it was read`);
      writeAll(output, block.subarray(0, got), at - from);
      at += got;
    }
    fs.fsyncSync(output);
  } finally {
    input.close();
    fs.closeSync(output);
  }
  fs.renameSync(temporary, target);
}

/** Where the log stands behind the last record that is authentic. */
function standingBehind(
  { dir }: RepairOptions,
  { head, epochKey }: Usable,
  scan: Scan,
  repair: JsonObject,
): Standing {
  const { tail } = scan;
  const torn = tail.torn;
  const moved = scan.damaged.some(({ segment }) => segment.path === torn?.path);
  if (torn !== undefined && !moved) setAside(dir, torn, tail.seq);
  const segments = listSegments(dir);
  const tiles = rebuildTiles(dir, head, { segments, ranges: scan.pruned, repaired: scan.ranges });
  const frontier = Frontier.from(head.size, head.frontier);
  for (const leaf of tail.leaves) {
    frontier.append(leaf, (level, hash) => tiles.append(level, hash));
    tiles.append(0, leaf);
  }
  return {
    head,
    seq: tail.seq,
    prevHash: tail.prevHash,
    epoch: head.epoch,
    epochKey,
    frontier,
    tiles,
    segment: undefined,
    lastType: tail.lastType,
    lastTimestamp: tail.lastTimestamp,
    lastLeaf: tail.leaves.at(-1) ?? head.leaf,
    recordsAfterHead: tail.seq - head.size,
    bytes: tail.bytes,
    state: tail.state,
    ranges: scan.pruned,
    torn: unrecordedTorn(dir, tail.seq),
    published: false,
    repair,
  };
}

/** The head or the keys are lost: the tree cannot go on, so a new log says which one it follows. */
function beginAnew(options: RepairOptions, cause: AuditError): RepairReport {
  const { dir, keysDir } = options;
  const report: RepairReport = {
    action: 'new_origin',
    reason: `${cause.code}: ${reasonOf(cause)}`,
    ranges: [],
    files: ['segments', 'checkpoint', 'checkpoints', 'tile', 'torn', 'kept', 'damaged'].filter(
      (name) => isThere(path.join(dir, name)),
    ),
    remaining: [],
  };
  if (options.dryRun) return report;
  const folder = setLogAside(dir, keysDir, { ...formerFacts(dir, keysDir), reason: cause.code });
  const keys = createKeys(keysDir);
  if (readHead(keys).size !== emptyHead('').size)
    throw new AuditError('log_failed', 'the new keys are not new');
  const standing = findStanding(dir, keys);
  new Writer(normaliseOptions(options), keys, standing, systemClock).close();
  return { ...report, origin: keys.origin, folder: path.relative(dir, folder) };
}

/** Whose log it was and how far it went, by the newest evidence there is. None of it is verified. */
function formerFacts(dir: string, keysDir: string): JsonObject {
  const found = readFolderCheckpoints(dir).entries.flatMap(({ checkpoint }) => checkpoint ?? []);
  const checkpoint = found.sort((a, b) => b.size - a.size)[0];
  const head = ((): Head | undefined => {
    try {
      const keys = readKeys(keysDir);
      return keys === undefined ? undefined : readHead(keys);
    } catch {
      return undefined;
    }
  })();
  const newest = head !== undefined && head.size >= (checkpoint?.size ?? 0) ? head : checkpoint;
  const claimed = claimedOrigin(dir);
  const origin = newest?.origin ?? claimed ?? 'unknown';
  return {
    origin,
    size: newest?.size ?? 0,
    root: newest === undefined ? '' : Buffer.from(newest.root, 'hex').toString('base64'),
  };
}
