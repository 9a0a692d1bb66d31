import * as path from 'node:path';
import { readIfThere, replaceFileDurably } from './durable.js';
import { AuditError } from './errors.js';
import type { JsonObject } from './event.js';
import { LineFile } from './line-file.js';
import { findLine, parseRecord } from './reader.js';
import { listSegments } from './segment.js';
import { Frontier, leafHashInPlace } from './tree.js';
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
  if (verdict !== 'ok') {
    const root = Buffer.from(report.root ?? '', 'hex').toString('base64');
    return { origin, size: signed, root, signed, verdict };
  }
  const tree = wholeTree(dir, report.records);
  const root = Buffer.from(tree.root(), 'hex').toString('base64');
  return { origin, size: tree.size, root, signed, verdict };
}

function wholeTree(dir: string, size: number): Frontier {
  const tree = new Frontier();
  for (const segment of listSegments(dir)) {
    const lines = new LineFile(segment.path);
    try {
      while (tree.size < size && lines.next())
        tree.append(leafHashInPlace(lines.buf, lines.start, lines.end));
    } finally {
      lines.close();
    }
  }
  return tree;
}

/** Keeps it with the keys until the first record has named it. */
export function keepPreviousLog(keysFolder: string, previous: PreviousLog): void {
  replaceFileDurably(path.join(keysFolder, fileName), `${JSON.stringify(previous)}\n`);
}

/** The member of the first record that names the log before; none in most. */
export function previousLogFacts(keysFolder: string): JsonObject {
  const text = readIfThere(path.join(keysFolder, fileName));
  return text === undefined ? {} : { previous_log: JSON.parse(text) as JsonObject };
}
