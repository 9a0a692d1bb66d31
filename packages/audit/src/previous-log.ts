import * as path from 'node:path';
import { replaceFileDurably } from './durable.js';
import { AuditError } from './errors.js';
import type { JsonObject } from './event.js';
import { readJsonFile } from './json-file.js';
import { lineSubtrees } from './proof.js';
import { findLine, parseRecord, readLines } from './reader.js';
import { appendCover, coverHashes, MissingHash, tileSubtrees } from './tile-subtrees.js';
import { Frontier, leafHash, type SubtreeHash } from './tree.js';
import { verifyLog } from './verify.js';
import type { Verdict } from './verify-report.js';

/** The log that this one goes on from: it can be written no more, for its signing key is lost. */
export interface PreviousLog {
  readonly origin: string;
  /** Its head: all its records, as they lie in the folder. */
  readonly size: number;
  /** Base64, as in a checkpoint. */
  readonly root: string;
  /** How many of them its newest checkpoint covers. */
  readonly signed: number;
  /** What verifying it against the key it names said. */
  readonly verdict: Verdict;
}

const fileName = 'previous-log';

/**
 * Reads where a log ends that cannot be signed any more. One that does not verify is named by what its checkpoints still
 * prove. Throws `not_found` when there is no log, `bad_checkpoint` or `log_damaged` when nothing can be said of it.
 */
export async function readPreviousLog(dir: string): Promise<PreviousLog> {
  const first = findLine(dir, 0);
  if (first === undefined) throw new AuditError('not_found', `${dir} holds no log`);
  const details = parseRecord(first.line).details ?? {};
  const { origin, public_key: publicKey } = details;
  if (typeof origin !== 'string' || typeof publicKey !== 'string') {
    throw new AuditError('log_damaged', `the first record in ${dir} does not say whose log it is`);
  }
  const report = await verifyLog({ dir, publicKeys: [publicKey] });
  const { verdict, size: signed } = report;
  const tree = verdict === 'ok' ? await wholeTree(dir, signed, report.root) : undefined;
  const root = Buffer.from(tree?.root() ?? report.root ?? '', 'hex').toString('base64');
  return { origin, size: tree?.size ?? signed, root, signed, verdict };
}

/**
 * The tree of all records: up to the newest checkpoint by the tiles, which are all that is left of deleted records, else by
 * the lines; behind it by the lines. Undefined where that does not lead to the checkpoint's root.
 */
async function wholeTree(
  dir: string,
  signed: number,
  root: string | undefined,
): Promise<Frontier | undefined> {
  const tree =
    signedTree(signed, root, () => tileSubtrees(dir)) ??
    signedTree(signed, root, () => lineSubtrees(dir, signed));
  if (tree === undefined) return undefined;
  for await (const { line } of readLines(dir, { fromSeq: signed })) tree.append(leafHash(line));
  return tree;
}

function signedTree(
  size: number,
  root: string | undefined,
  subtrees: () => SubtreeHash,
): Frontier | undefined {
  const tree = new Frontier();
  if (size === 0) return tree;
  try {
    appendCover(tree, size, coverHashes(0, size, subtrees()));
  } catch (error) {
    if (error instanceof MissingHash || error instanceof AuditError) return undefined;
    throw error;
  }
  return tree.root() === root ? tree : undefined;
}

/** Keeps it with the keys until the first record has named it. */
export function keepPreviousLog(keysFolder: string, previous: PreviousLog): void {
  replaceFileDurably(path.join(keysFolder, fileName), `${JSON.stringify(previous)}\n`);
}

/** The member of the first record that names the log before; none in most. */
export function previousLogFacts(keysFolder: string): JsonObject {
  const previous = readJsonFile(path.join(keysFolder, fileName));
  return previous === undefined ? {} : { previous_log: previous };
}
