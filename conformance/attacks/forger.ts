import { createHmac, createPrivateKey, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Folder, only } from './folder.js';
import type { StoredLog } from './logs.js';
import { leafHash, rootOf, tilesOf } from './merkle.js';
import { type Signer, signedCheckpoint, signer } from './notes.js';
import { endsEpoch, type Members, type StoredRecord } from './records.js';
import { tallyOf } from './tally.js';

/** What lies in the keys folder of a log whose initial key was moved away: all that an intruder finds. */
export interface StolenKeys {
  readonly signer: Signer;
  /** The epoch that is open, and its key. */
  readonly epoch: number;
  readonly epochKey: Buffer;
}

export async function stealKeys(folder: string): Promise<StolenKeys> {
  const names = await readdir(folder);
  const epochFiles = names.filter((name) => /^epoch-\d+\.key$/.test(name));
  const [epochFile] = epochFiles;
  if (epochFile === undefined || epochFiles.length > 1 || names.includes('initial-hmac-key')) {
    throw new Error(`the keys folder holds other keys than the open epoch's: ${names.join(' ')}`);
  }
  const origin = (await readFile(join(folder, 'origin'), 'utf8')).trim();
  const pem = await readFile(join(folder, 'signing-key.pem'));
  // origin+checksum+base64(key), where base64 may hold a plus of its own.
  const text = (await readFile(join(folder, epochFile), 'utf8')).trim();
  const packed = text.split('+').slice(2).join('+');
  return {
    signer: signer(origin, createPrivateKey(pem)),
    epoch: Number(epochFile.slice('epoch-'.length, -'.key'.length)),
    epochKey: Buffer.from(packed, 'base64'),
  };
}

/** A record as the forger wants it; the numbers, links and hashes are put right by `forge`. */
export interface Draft {
  readonly members: Members;
  /** The untouched record, while it is one. */
  readonly original?: StoredRecord;
  readonly startsSegment: boolean;
}

export function draftsOf(log: StoredLog): Draft[] {
  return log.records.map((record) => ({
    members: record.members,
    original: record,
    startsSegment: record.offset === 0,
  }));
}

/**
 * A whole log folder from drafts: chained, hashed with the stolen key where it is of the epoch and with any key where
 * the epoch's was erased, tree and tiles rebuilt, every checkpoint signed anew. `pending` records stay behind the newest;
 * `lie` is what every seal that is written anew says besides the truth.
 */
export function forge(
  log: StoredLog,
  drafts: readonly Draft[],
  keys: StolenKeys,
  pending = 0,
  lie: Members = {},
): Folder {
  const lines = chain(drafts, keys, lie);
  const folder = new Map(only(log.folder, (path) => path === 'lock' || path.startsWith('torn/')));
  const starts = drafts.flatMap(({ startsSegment }, seq) => (startsSegment ? [seq] : []));
  starts.forEach((first, i) => {
    const own = lines.slice(first, starts[i + 1]);
    folder.set(`segments/${name20(first)}.jsonl`, Buffer.from(`${own.join('\n')}\n`));
    const members = drafts.slice(first, starts[i + 1]).map((draft) => draft.members);
    if (members.at(-1)?.['event_type'] === 'log.sealed')
      folder.set(`segments/${name20(first)}.tally`, tallyOf(members.slice(0, -1)).bytes);
  });
  const leaves = lines.slice(0, lines.length - pending).map((line) => leafHash(Buffer.from(line)));
  const sign = (size: number): Buffer => {
    const root = rootOf(leaves.slice(0, size));
    return Buffer.from(signedCheckpoint({ origin: keys.signer.name, size, root }, keys.signer));
  };
  for (const size of starts.filter((first) => first > 0))
    folder.set(`checkpoints/${name20(size)}`, sign(size));
  folder.set('checkpoint', sign(leaves.length));
  for (const [path, bytes] of tilesOf(leaves)) folder.set(path, bytes);
  return folder;
}

function chain(drafts: readonly Draft[], keys: StolenKeys, lie: Members): string[] {
  const lost = randomBytes(32);
  let epoch = 0;
  let prevHash = '0'.repeat(64);
  let genuine = true;
  let first = 0;
  let bytes = 0;
  return drafts.map(({ members, original, startsSegment }, seq) => {
    if (startsSegment) [first, bytes] = [seq, 0];
    genuine &&= original?.seq === seq;
    const key = epoch === keys.epoch ? keys.epochKey : lost;
    const numbers = { seq, epoch, prev_hash: prevHash };
    const line = genuine
      ? original!.line.toString()
      : hashed({ ...sealed(drafts, first, seq, bytes, lie), ...numbers }, key);
    prevHash = line.slice(-66, -2);
    epoch += endsEpoch(String(members['event_type'])) ? 1 : 0;
    bytes += Buffer.byteLength(line) + 1;
    return line;
  });
}

/** A seal counts its segment, and a forger who changed the segment counts again. */
function sealed(
  drafts: readonly Draft[],
  first: number,
  seq: number,
  bytes: number,
  lie: Members,
): Members {
  const { members } = drafts[seq]!;
  if (members['event_type'] !== 'log.sealed') return members;
  const before = drafts.slice(first, seq).map((draft) => draft.members);
  const counts = {
    first_seq: first,
    last_seq: seq,
    records: seq + 1 - first,
    bytes,
    ...tallyOf(before).details,
    ...lie,
  };
  return { ...members, details: { ...(members['details'] as Members), ...counts } };
}

function hashed({ hash: _hash, ...members }: Members, key: Buffer): string {
  const body = JSON.stringify(members).slice(0, -1);
  return `${body},"hash":"${createHmac('sha256', key).update(body).digest('hex')}"}`;
}

function name20(size: number): string {
  return String(size).padStart(20, '0');
}
