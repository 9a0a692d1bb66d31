import { endsEpoch, hashMemberBytes } from './chain.js';
import type { EpochKeys } from './epoch-keys.js';
import { checkLine, type LineFacts } from './line-check.js';
import { LineFile } from './line-file.js';
import type { SegmentName } from './segment.js';
import { tallyRoot } from './tally.js';
import { readTallyLines } from './tally-file.js';
import { leafHashInPlace } from './tree.js';
import { factOf, type LogFact } from './verify-chunk.js';

/** What must hold where a kept file begins, as far as it is known. */
export interface KeptStart {
  readonly seq: number;
  readonly prevHash: string | undefined;
  readonly epoch: number | undefined;
}

export interface KeptFault {
  readonly seq: number;
  readonly offset: number;
  readonly reason: string;
}

/** The log's own lines of one deleted segment. */
export interface KeptSegment {
  readonly firstSeq: number;
  readonly facts: readonly LogFact[];
  /** Leaves by seq, with where their lines stand. */
  readonly leaves: ReadonlyMap<number, { readonly leaf: string; readonly offset: number }>;
  readonly lastSeq: number;
  /** `hash` of its seal, and the epoch behind it. */
  readonly hash: string;
  readonly epoch: number;
  /** Of the segment's lines. */
  readonly bytes: number;
  /** What is wrong with the tally beside the segment. */
  readonly tallyFault: string | undefined;
}

/** Checks what was kept of a segment; docs/format.md §9.1, rule 7. */
export function readKept(
  dir: string,
  file: SegmentName,
  start: KeptStart,
  keys: EpochKeys | undefined,
): { readonly kept: KeptSegment } | { readonly fault: KeptFault } {
  const lines = new LineFile(file.path);
  const facts: LogFact[] = [];
  const leaves = new Map<number, { leaf: string; offset: number }>();
  const counts = new Map<string, number>();
  let { epoch, prevHash } = start;
  let next = start.seq;
  let last: LogFact | undefined;
  const fault = (reason: string): { fault: KeptFault } => ({
    fault: { seq: next, offset: lines.offset, reason },
  });
  try {
    const line: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
    while (lines.next()) {
      const { buf, start: from, end } = lines;
      if (last?.type === 'log.sealed') return fault('it stands behind the seal of its segment');
      const wrong = checkLine(buf, from, end, line);
      if (wrong !== undefined) return fault(wrong);
      if (line.seq < next) return fault(`its seq is ${line.seq}, expected ${next} or more`);
      const follows = line.seq === next && prevHash !== undefined;
      if (follows && line.prevHash !== prevHash)
        return fault('its prev_hash is not the hash of the record before');
      if (epoch !== undefined && line.epoch !== epoch)
        return fault(`its epoch is ${line.epoch}, expected ${epoch}`);
      if (!line.eventType.startsWith('log.'))
        return fault('it is not one of the log’s own records');
      if (line.epoch > line.seq) return fault('its epoch is higher than its seq');
      if (keys !== undefined) {
        const hash = keys.at(line.epoch).hash(buf, from, end - hashMemberBytes);
        if (hash !== line.hash)
          return fault('hash is not the HMAC of the record under its epoch key');
      }
      const leaf = leafHashInPlace(buf, from, end);
      leaves.set(line.seq, { leaf, offset: lines.offset });
      last = factOf(lines, line, leaf);
      facts.push(last);
      counts.set(line.eventType, (counts.get(line.eventType) ?? 0) + 1);
      next = line.seq + 1;
      prevHash = line.hash;
      epoch = line.epoch + (endsEpoch(line.eventType) ? 1 : 0);
    }
    const { first_seq: firstSeq, last_seq: lastSeq, bytes } = last?.details ?? {};
    const whole = last?.type === 'log.sealed' && firstSeq === file.firstSeq && lastSeq === last.seq;
    if (last === undefined || !whole || lines.rest().length > 0) {
      return fault('it does not end with the seal of its segment');
    }
    const tally = checkTally(dir, file.firstSeq, last, counts);
    if (tally.incomplete) return fault('some of the log’s own records are gone from it');
    return {
      kept: {
        firstSeq: file.firstSeq,
        facts,
        leaves,
        lastSeq: last.seq,
        hash: line.hash,
        epoch: line.epoch + 1,
        bytes: Number(bytes) + last.bytes,
        tallyFault: tally.fault,
      },
    };
  } finally {
    lines.close();
  }
}

/** The tally must be the seal's, and by it nothing may be gone of what was to be kept. */
function checkTally(
  dir: string,
  firstSeq: number,
  seal: LogFact,
  counts: ReadonlyMap<string, number>,
): { readonly fault: string | undefined; readonly incomplete: boolean } {
  const lines = readTallyLines(dir, firstSeq);
  const { tally_size: size, tally_root: root } = seal.details;
  if (lines === undefined || lines.length !== size || tallyRoot(lines) !== root) {
    const what = lines === undefined ? 'is gone' : 'is not the one that its seal names';
    return { fault: `the tally of a deleted segment ${what}`, incomplete: false };
  }
  let own = 0;
  for (const line of lines) {
    const [, type, count] = /^\["type","(log\.[^"]*)",([0-9]+)\]$/.exec(line) ?? [];
    if (type === undefined) continue;
    own += Number(count);
    const kept = (counts.get(type) ?? 0) - (type === 'log.sealed' ? 1 : 0);
    if (kept !== Number(count)) return { fault: undefined, incomplete: true };
  }
  const kept = [...counts.values()].reduce((sum, count) => sum + count, 0) - 1;
  return { fault: undefined, incomplete: kept !== own };
}
