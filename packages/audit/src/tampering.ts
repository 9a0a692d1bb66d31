import type { Identity } from './identity.js';
import { readTile, tileEntry, tileWidth } from './tiles.js';
import { tornHash } from './torn.js';
import { Frontier } from './tree.js';
import { type Case, type Good, stringOf } from './verify-case.js';
import { tileFinding } from './verify-join.js';
import { findRepairFaults } from './verify-repair.js';
import type { Finding } from './verify-report.js';

/** Rule 2 of docs/format.md §9.4: faults, forks, tiles, torn files and tallies, the most telling first. */
export function findTampering(facts: Case, identity: Identity, good: readonly Good[]): Finding[] {
  const { reading } = facts;
  const found: Finding[] = [];
  const cause = reading.leafMismatch;
  if (reading.fault) found.push(causeOf(reading.fault, facts, good));
  const forks = good.filter(
    (entry) => reading.roots.has(entry.size) && reading.roots.get(entry.size) !== entry.root,
  );
  const fork = forks.sort((a, b) => a.size - b.size)[0];
  if (fork && !reading.fault) found.push(locate(fork, facts, good));
  found.push(...findSplit(good));
  if (cause?.seq !== undefined && !fork && !reading.fault) {
    found.push(blameLeaf(cause, cause.seq, facts, good));
  } else if (reading.tileFault && !fork && !reading.fault) found.push(reading.tileFault);
  if (reading.fault?.seq !== 0) found.push(...findFirstRecord(facts, identity));
  if (identity.history.fault) found.push({ kind: 'record', ...identity.history.fault });
  found.push(...findTorn(facts), ...findRepairFaults(facts, good));
  if (reading.tallyFault && !reading.fault) found.push(reading.tallyFault);
  return found;
}

/**
 * A leaf differs from its tile, and no signed root that the lines reach contradicts them: where the lines lead to such a root
 * it is the tile's fault; where they end before one, an authentic tile says that it is the record's.
 */
function blameLeaf(cause: Finding, seq: number, facts: Case, good: readonly Good[]): Finding {
  const { roots } = facts.reading;
  const proved = good.some((entry) => entry.size > seq && roots.get(entry.size) === entry.root);
  if (!proved && tilesAuthentic(facts, good, seq)) return cause;
  return tileFinding(facts.dir, 0, Math.floor(seq / tileWidth), seq % tileWidth);
}

/** Two good checkpoints of one size must have one root. */
function findSplit(good: readonly Good[]): Finding[] {
  const roots = new Map<number, Good>();
  for (const entry of good) {
    const other = roots.get(entry.size);
    if (other && other.root !== entry.root) {
      return [
        {
          kind: 'fork',
          reason: `${other.name} and ${entry.name} are of size ${entry.size} with different roots`,
        },
      ];
    }
    roots.set(entry.size, entry);
  }
  return [];
}

function findFirstRecord(facts: Case, identity: Identity): Finding[] {
  const found: Finding[] = [];
  const { claimedOrigin, claimedKey, origin, known } = identity;
  // Where records are missing, so may be the one that names the key.
  const { missing, repaired } = facts.reading;
  const told = missing.length + repaired.gaps.length === 0 && !identity.namedLater;
  if (claimedOrigin !== undefined && claimedOrigin !== origin) {
    found.push({
      kind: 'record',
      reason: `the first record names the origin ${claimedOrigin}, checkpoints ${origin}`,
      seq: 0,
      offset: 0,
    });
  }
  if (
    claimedKey !== undefined &&
    told &&
    known.length > 0 &&
    !known.some((key) => key.text === claimedKey)
  ) {
    found.push({
      kind: 'record',
      reason: 'the first record names a public key that nothing ties to the one that signs',
      seq: 0,
      offset: 0,
    });
  }
  return found;
}

/** A fault may show one record late: the first line that differs from an authentic tile is its cause. */
function causeOf(fault: Finding, facts: Case, good: readonly Good[]): Finding {
  const candidate = facts.reading.leafMismatch;
  if (candidate?.seq === undefined || fault.seq === undefined || candidate.seq >= fault.seq)
    return fault;
  return tilesAuthentic(facts, good, candidate.seq) ? candidate : fault;
}

/** The lines give another root than a checkpoint: names the record if the tiles are authentic, else the range. */
function locate(fork: Good, facts: Case, good: readonly Good[]): Finding {
  const candidate = facts.reading.leafMismatch;
  if (
    candidate?.seq !== undefined &&
    candidate.seq < fork.size &&
    tilesAuthentic(facts, good, candidate.seq)
  ) {
    return candidate;
  }
  const from = Math.max(
    0,
    ...good
      .filter((entry) => facts.reading.roots.get(entry.size) === entry.root)
      .map((entry) => entry.size),
  );
  return {
    kind: 'fork',
    reason: `the records give another root at ${fork.size} than ${fork.name}`,
    range: [from < fork.size ? from : 0, fork.size],
  };
}

/** Whether the level 0 tiles fold into the root of a good checkpoint that covers `seq`. */
function tilesAuthentic(facts: Case, good: readonly Good[], seq: number): boolean {
  const target = good.filter((entry) => entry.size > seq).sort((a, b) => a.size - b.size)[0];
  if (target === undefined) return false;
  const frontier = new Frontier();
  for (let index = 0; frontier.size < target.size; index++) {
    const bytes = readTile(facts.dir, 0, index);
    for (let place = 0; place < tileWidth && frontier.size < target.size; place++) {
      const leaf = tileEntry(bytes, place);
      if (leaf === undefined) return false;
      frontier.append(leaf);
    }
  }
  return frontier.root() === target.root;
}

/** Torn files were synced before the record that names them. */
function findTorn(facts: Case): Finding[] {
  const found: Finding[] = [];
  for (const { seq, type, details } of facts.reading.facts) {
    const name = stringOf(details['torn_file']);
    if (type !== 'log.recovered' || name === undefined) continue;
    const file = `torn/${name}`;
    const sha256 = tornHash(facts.dir, name);
    if (sha256 !== details['torn_sha256']) {
      found.push({
        kind: 'torn',
        reason:
          sha256 === undefined
            ? 'the torn bytes that a record names are gone'
            : 'the torn bytes are not those that were recorded',
        file,
        seq,
      });
    }
  }
  return found;
}
