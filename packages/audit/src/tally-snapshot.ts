import * as crypto from 'node:crypto';
import * as path from 'node:path';
import { readRegular, replaceFile } from './durable.js';
import { parseTallyLine, Tally, tallyBytes, tallyBytesMax } from './tally.js';
import { Frontier, type Hash } from './tree.js';

/**
 * The tally of a segment that is not sealed yet, as the writer remembers it between two openings: a file of the keys folder,
 * bound to the tree of the records that it counts. Derived: without it the lines are counted again.
 */
export interface Snapshot {
  readonly origin: string;
  /** First seq of the segment. */
  readonly segment: number;
  /** Records of the log up to which it counts, and the tree over them. */
  readonly size: number;
  readonly frontier: readonly Hash[];
  /** Byte behind the last of them in the segment. */
  readonly offset: number;
  readonly tally: Tally;
}

const headerBytesMax = 65_536;

function snapshotPath(keysFolder: string): string {
  return path.join(keysFolder, 'tally');
}

export function writeSnapshot(keysFolder: string, snapshot: Snapshot): void {
  const { tally, ...place } = snapshot;
  const { first, last } = tally.part();
  const lines = tallyBytes(tally.lines());
  const sha256 = crypto.hash('sha256', lines, 'hex');
  const header = `${JSON.stringify({ ...place, first, last, sha256 })}\n`;
  replaceFile(snapshotPath(keysFolder), Buffer.concat([Buffer.from(header), lines]));
}

/** The snapshot, or undefined when there is none that can be used. */
export function readSnapshot(keysFolder: string): Snapshot | undefined {
  try {
    const bytes = readRegular(snapshotPath(keysFolder), headerBytesMax + tallyBytesMax);
    return bytes === undefined ? undefined : parseSnapshot(bytes);
  } catch {
    // Whatever is wrong with it, the lines can be counted again.
    return undefined;
  }
}

function parseSnapshot(bytes: Buffer): Snapshot | undefined {
  const end = bytes.indexOf(10) + 1;
  const header = JSON.parse(bytes.toString('utf8', 0, end)) as Record<string, unknown>;
  const { origin, segment, size, frontier, offset, first, last, sha256 } = header;
  if (crypto.hash('sha256', bytes.subarray(end), 'hex') !== sha256) return undefined;
  if (typeof origin !== 'string' || typeof first !== 'string' || typeof last !== 'string')
    return undefined;
  const hashes = Array.isArray(frontier) ? frontier.map(String) : [];
  Frontier.from(Number(size), hashes);
  const lines = bytes.toString('latin1', end).split('\n').slice(0, -1);
  const counts = lines.map(parseTallyLine).filter((count) => count !== undefined);
  if (counts.length !== lines.length) return undefined;
  const tally = new Tally();
  tally.add({ counts, first, last, overflow: false });
  return {
    origin,
    segment: Number(segment),
    size: Number(size),
    frontier: hashes,
    offset: Number(offset),
    tally,
  };
}
