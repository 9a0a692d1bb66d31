import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { checkNote, parseVerifierKey, type VerifierKey } from './checkpoint.js';
import { AuditError, systemCode } from './errors.js';
import type { FolderCheckpoints, Held } from './evidence.js';
import { readTile, tileEntry, tileWidth } from './tiles.js';
import { Frontier, type Hash } from './tree.js';
import { type Reading, tileFinding } from './verify-join.js';
import type { Finding, Level, Verdict, VerifyReport } from './verify-report.js';

/** All that a verdict is made of. */
export interface Case {
  readonly dir: string;
  readonly level: Level;
  readonly keys: readonly VerifierKey[];
  readonly hmac: { readonly origin: string } | undefined;
  readonly held: readonly Held[];
  readonly folder: FolderCheckpoints;
  readonly reading: Reading;
  readonly segments: number;
}

/** A checkpoint that counts: signed by a known key, or this host's head. */
interface Good {
  readonly name: string;
  readonly size: number;
  readonly root: Hash;
  readonly held: boolean;
}

/** The verdict by docs/format.md §9.4: the first that holds, all findings in the order of the rules. */
export function decide(facts: Case): VerifyReport {
  const identity = identify(facts);
  const { good, bad } = sortCheckpoints(facts, identity);
  const reach = facts.reading.reach;
  const newest = Math.max(0, ...good.filter((entry) => !entry.held).map((entry) => entry.size));
  const rules: readonly (readonly [Verdict, readonly Finding[]])[] = [
    ['wrong_log', identity.foreign],
    ['tampered', findTampering(facts, identity, good)],
    [
      'truncated',
      reach < newest ? [shortOf(reach, newest, 'the newest checkpoint in the folder')] : [],
    ],
    ['rolled_back', findRollback(facts, good)],
    ['missing', facts.reading.missing.map((range) => missingRange(range, facts, good))],
    ['tampered', [...bad, ...(identity.known.length > 0 ? findOverdue(facts, newest) : [])]],
    ['unverifiable', findLacking(facts)],
  ];
  const verdict = rules.find(([, findings]) => findings.length > 0)?.[0] ?? 'ok';
  const checked = checkedSize(facts, good);
  const opened = facts.reading.facts.findLast((fact) => fact.type === 'log.opened');
  const forward = forwardSecurity(opened?.details['forward_security']);
  return {
    verdict,
    level: facts.level,
    ...(identity.origin === undefined ? {} : { origin: identity.origin }),
    records: reach,
    size: checked?.size ?? 0,
    ...(checked === undefined ? {} : { root: checked.root }),
    pending: reach - (checked?.size ?? 0),
    segments: facts.segments,
    epochs: facts.reading.epochs,
    ...(forward === undefined ? {} : { forwardSecurity: forward }),
    findings: rules.flatMap(([, findings]) => findings),
    unfinishedBytes: facts.reading.unfinishedBytes,
  };
}

interface Identity {
  readonly origin: string | undefined;
  readonly known: readonly VerifierKey[];
  /** What the record at seq 0 says. */
  readonly claimedOrigin: string | undefined;
  readonly claimedKey: string | undefined;
  readonly foreign: readonly Finding[];
}

/** Whose log this is, by §9.2. */
function identify(facts: Case): Identity {
  const first = facts.reading.facts.find((fact) => fact.seq === 0 && fact.type === 'log.opened');
  const claimedOrigin = stringOf(first?.details['origin']);
  const claimedKey = stringOf(first?.details['public_key']);
  const signedBy = (key: VerifierKey) =>
    facts.folder.entries.find((entry) => entry.note && checkNote(entry.note, [key]) === 'signed');
  const belonging = facts.keys.filter(
    (key) => key.text === claimedKey || signedBy(key) !== undefined,
  );
  const known = facts.keys.length > 0 ? belonging : parseKey(claimedKey);
  const signed = belonging.map(signedBy).find((entry) => entry !== undefined);
  const origin =
    signed?.checkpoint?.origin ??
    claimedOrigin ??
    facts.folder.entries[0]?.checkpoint?.origin ??
    facts.held[0]?.checkpoint.origin;
  return {
    origin,
    known,
    claimedOrigin,
    claimedKey,
    foreign: findForeign(facts, origin, known, belonging),
  };
}

function findForeign(
  facts: Case,
  origin: string | undefined,
  known: readonly VerifierKey[],
  belonging: readonly VerifierKey[],
): Finding[] {
  const found: Finding[] = [];
  if (facts.reading.reach === 0 && facts.folder.entries.length === 0) return found;
  for (const { name, note, checkpoint } of facts.held) {
    if (origin !== undefined && checkpoint.origin !== origin) {
      found.push({
        kind: 'origin',
        reason: `${name} is of ${checkpoint.origin}, this log is ${origin}`,
      });
      continue;
    }
    if (note === undefined) continue;
    const state = checkNote(note, [...known, ...facts.keys]);
    if (state === 'broken') {
      throw new AuditError(
        'bad_checkpoint',
        `${name} has a signature that does not verify; it is no evidence`,
      );
    }
    if (state === 'unknown')
      found.push({ kind: 'key', reason: `${name} is signed by no key of this log` });
  }
  for (const key of facts.keys) {
    if (!belonging.includes(key)) {
      found.push({
        kind: 'key',
        reason: `the key brought (${key.name}) is not a key of this log (${origin ?? 'unknown'})`,
      });
    }
  }
  if (facts.hmac !== undefined && origin !== undefined && facts.hmac.origin !== origin) {
    found.push({
      kind: 'key',
      reason: `the HMAC key is of ${facts.hmac.origin}, this log is ${origin}`,
    });
  }
  return found;
}

function parseKey(text: string | undefined): VerifierKey[] {
  if (text === undefined) return [];
  try {
    return [parseVerifierKey(text)];
  } catch {
    // What stands in the record is not to be trusted; without it no checkpoint can be good.
    return [];
  }
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function sortCheckpoints(facts: Case, identity: Identity): { good: Good[]; bad: Finding[] } {
  const good: Good[] = [];
  const bad: Finding[] = [];
  // Without any key, brought or in the book, signatures can be neither good nor bad.
  const keyless = facts.keys.length === 0 && identity.known.length === 0;
  for (const { file, note, checkpoint, reason } of facts.folder.entries) {
    if (keyless && note !== undefined) continue;
    const wrong =
      note === undefined || checkpoint === undefined
        ? reason
        : checkNote(note, identity.known) !== 'signed'
          ? 'it carries no good signature of a key of this log'
          : checkpoint.origin !== identity.origin
            ? `it is of ${checkpoint.origin}, this log is ${identity.origin}`
            : undefined;
    if (wrong === undefined)
      good.push({ name: file, size: checkpoint!.size, root: checkpoint!.root, held: false });
    else bad.push({ kind: 'checkpoint', reason: wrong, file });
  }
  for (const { name, checkpoint } of facts.held) {
    if (checkpoint.origin === identity.origin) {
      good.push({ name, size: checkpoint.size, root: checkpoint.root, held: true });
    }
  }
  return { good, bad };
}

function findTampering(facts: Case, identity: Identity, good: readonly Good[]): Finding[] {
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
  // When the lines give the signed root, a leaf that differs from its tile is the tile's fault.
  if (cause?.seq !== undefined && !fork && !reading.fault) {
    found.push(tileFinding(facts.dir, 0, Math.floor(cause.seq / tileWidth), cause.seq % tileWidth));
  } else if (reading.tileFault && !fork && !reading.fault) found.push(reading.tileFault);
  if (reading.fault?.seq !== 0) found.push(...findFirstRecord(identity));
  found.push(...findTorn(facts));
  return found;
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

function findFirstRecord(identity: Identity): Finding[] {
  const found: Finding[] = [];
  const { claimedOrigin, claimedKey, origin, known } = identity;
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
    known.length > 0 &&
    !known.some((key) => key.text === claimedKey)
  ) {
    found.push({
      kind: 'record',
      reason: 'the first record names another public key than the one that signs',
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
    const file = path.join('torn', path.basename(name));
    const sha256 = fileHash(path.join(facts.dir, file));
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

function fileHash(file: string): string | undefined {
  try {
    return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function findRollback(facts: Case, good: readonly Good[]): Finding[] {
  return good
    .filter((entry) => entry.held && entry.size > facts.reading.reach)
    .map((entry) => shortOf(facts.reading.reach, entry.size, entry.name));
}

function shortOf(reach: number, size: number, name: string): Finding {
  return {
    kind: 'range',
    reason: `${name} is of ${size} records, the folder holds ${reach}`,
    range: [reach, size],
  };
}

function missingRange(
  range: readonly [number, number],
  facts: Case,
  good: readonly Good[],
): Finding {
  const behind = good.filter(
    (entry) => entry.size > range[0] && facts.reading.filledRoots.has(entry.size),
  );
  const agrees =
    behind.length > 0 &&
    behind.every((entry) => facts.reading.filledRoots.get(entry.size) === entry.root);
  const kept = agrees
    ? 'what is kept verifies against the same root'
    : 'what follows could not be checked against the root';
  return {
    kind: 'range',
    reason: `records are missing, and no retention policy allows it; ${kept}`,
    range,
  };
}

/** A checkpoint that covers an epoch's end is durable before the next epoch's first record. */
function findOverdue(facts: Case, newest: number): Finding[] {
  const { required } = facts.reading;
  if (newest >= required) return [];
  return [
    {
      kind: 'checkpoint',
      reason: `a checkpoint of at least ${required} records was made, but the newest in the folder is of ${newest}`,
      file: 'checkpoint',
    },
  ];
}

function findLacking(facts: Case): Finding[] {
  const found: Finding[] = [];
  if (facts.reading.reach === 0)
    found.push({ kind: 'empty', reason: 'the folder holds no records' });
  if (facts.keys.length === 0)
    found.push({ kind: 'key', reason: 'no public key was brought (--key FILE)' });
  if (facts.level === 'auditor' && facts.hmac === undefined) {
    found.push({
      kind: 'key',
      reason: 'the auditor level needs the initial HMAC key (--hmac-key FILE)',
    });
  }
  return found;
}

/** The largest good checkpoint whose root the lines gave. */
function checkedSize(facts: Case, good: readonly Good[]): Good | undefined {
  const { roots, filledRoots } = facts.reading;
  return good
    .filter(
      (entry) =>
        entry.size > 0 && (roots.get(entry.size) ?? filledRoots.get(entry.size)) === entry.root,
    )
    .sort((a, b) => b.size - a.size)[0];
}

function forwardSecurity(value: unknown): VerifyReport['forwardSecurity'] {
  if (typeof value !== 'object' || value === null) return undefined;
  const stated = value as { on?: unknown; initial_key_file?: unknown };
  const file = stringOf(stated.initial_key_file);
  return { on: stated.on === true, ...(file === undefined ? {} : { initialKeyFile: file }) };
}
