import { checkNote, type Note, type VerifierKey } from './checkpoint.js';
import { type FolderCheckpoints, readFolderCheckpoints } from './evidence.js';
import {
  type KeyHistory,
  keyRecordTypes,
  keysRequired,
  parseKey,
  readKeyHistory,
  signedByAll,
} from './key-history.js';
import { type Case, stringOf } from './verify-case.js';
import type { Finding } from './verify-report.js';

/** Whose log this is. */
export interface Identity {
  readonly origin: string | undefined;
  readonly known: readonly VerifierKey[];
  readonly history: KeyHistory;
  /** Up to this size the records tell which keys must have signed; behind it some may tell otherwise. */
  readonly toldTo: number;
  /** Sizes at which records begin that a repair says are lost. */
  readonly boundsOfLost: ReadonlySet<number>;
  /** Keys of the history that no checkpoint ties to the one before, although it must be there. */
  readonly unlinked: readonly Finding[];
  /** Whether a known key, which the records do not name, has signed for more of them than there are. */
  readonly namedLater: boolean;
  /** What the record at seq 0 says. */
  readonly claimedOrigin: string | undefined;
  readonly claimedKey: string | undefined;
  readonly foreign: readonly Finding[];
}

/** Whose log this is, by docs/format.md §9.2. */
export function identify(facts: Case): Identity {
  const { reach, missing, repaired } = facts.reading;
  const first = facts.reading.facts.find((fact) => fact.seq === 0 && fact.type === 'log.opened');
  const claimedOrigin = stringOf(first?.details['origin']);
  const claimedKey = stringOf(first?.details['public_key']);
  const lost = repaired.gaps.map(({ range }) => range);
  const gaps = [...missing, ...lost].map(([from]) => from).sort((a, b) => a - b);
  const records = facts.reading.facts.filter((fact) => keyRecordTypes.has(fact.type));
  const history = readKeyHistory(parseKey(claimedKey), records, gaps);
  const links = findLinks(facts, history);
  const formed = facts.folder.entries.filter((entry) => entry.note !== undefined);
  // A folder that names nobody cannot be another log's.
  const anonymous = first === undefined && formed.length === 0;
  const signs = (key: VerifierKey): boolean =>
    formed.some(({ note, checkpoint }) => isSignedBy(key, note, checkpoint?.origin));
  // Evidence of another log must not make its key this one's.
  const signsBeyond = (key: VerifierKey): boolean =>
    (claimedOrigin === undefined || claimedOrigin === key.name) &&
    [...formed, ...facts.held].some(
      ({ note, checkpoint }) =>
        checkpoint !== undefined &&
        checkpoint.size > reach &&
        (note === undefined ? checkpoint.origin === key.name : isSignedBy(key, note, key.name)),
    );
  const named = (key: VerifierKey): boolean =>
    history.keys.some(
      (entry, i) =>
        entry.key.text === key.text && (i === 0 || links[i] || isDue(history, i, reach)),
    );
  const belonging = facts.keys.filter(
    (key) => anonymous || named(key) || signs(key) || signsBeyond(key),
  );
  const known = withLinked(
    facts.keys.length > 0 ? belonging : history.keys.slice(0, 1).map((entry) => entry.key),
    history,
    links,
  );
  const origin =
    belonging[0]?.name ??
    claimedOrigin ??
    formed[0]?.checkpoint?.origin ??
    facts.held[0]?.checkpoint.origin;
  return {
    origin,
    known,
    history,
    toldTo: Math.min(reach, history.certainTo),
    boundsOfLost: new Set(lost.map(([from]) => from)),
    unlinked: findUnlinked(history, links, reach),
    namedLater: belonging.some((key) => !named(key) && signsBeyond(key)),
    claimedOrigin,
    claimedKey,
    foreign: findForeign(facts, origin, known, belonging),
  };
}

function isSignedBy(key: VerifierKey, note: Note | undefined, origin: string | undefined): boolean {
  return origin === key.name && note !== undefined && checkNote(note, [key]) === 'signed';
}

/**
 * Which keys of the history are tied to the one before: by a checkpoint that ends with the record that names the new key, and
 * carries both signatures. The writer makes it before the next record.
 */
function findLinks(facts: Case, history: KeyHistory): boolean[] {
  const link = (i: number, folder: FolderCheckpoints): boolean => {
    const { key, rotatedAt } = history.keys[i]!;
    const pair = [history.keys[i - 1]!.key, key];
    return [...folder.entries, ...facts.held].some(
      ({ note, checkpoint }) =>
        checkpoint?.origin === key.name &&
        checkpoint.size === rotatedAt + 1 &&
        note !== undefined &&
        signedByAll(note, pair),
    );
  };
  const links = history.keys.map((_, i) => i === 0 || link(i, facts.folder));
  const due = (i: number): boolean => !links[i] && isDue(history, i, facts.reading.reach);
  if (!history.keys.some((_, i) => due(i))) return links;
  // A log that is being written may have made it after the checkpoints were read.
  const later = readFolderCheckpoints(facts.dir);
  return links.map((linked, i) => linked || link(i, later));
}

/** Whether a record follows the one that names the key. */
function isDue(history: KeyHistory, i: number, reach: number): boolean {
  return i > 0 && reach > history.keys[i]!.rotatedAt + 1;
}

function findUnlinked(history: KeyHistory, links: readonly boolean[], reach: number): Finding[] {
  return history.keys.flatMap(({ rotatedAt }, i) =>
    links[i] || !isDue(history, i, reach)
      ? []
      : [
          {
            kind: 'checkpoint' as const,
            reason: `a checkpoint of ${rotatedAt + 1} records was signed by the old key and the new one, but none in the folder is`,
            seq: rotatedAt,
          },
        ],
  );
}

/** The keys, and those of the history that links lead to from them, forward and backward. */
function withLinked(
  keys: readonly VerifierKey[],
  history: KeyHistory,
  links: readonly boolean[],
): VerifierKey[] {
  const { length } = history.keys;
  const is = history.keys.map(({ key }) => keys.some((other) => other.text === key.text));
  for (let i = 1; i < length; i++) is[i] ||= is[i - 1]! && links[i]!;
  for (let i = length - 1; i > 0; i--) is[i - 1] ||= is[i]! && links[i]!;
  const found = history.keys.filter((_, i) => is[i]).map((entry) => entry.key);
  return [...keys, ...found.filter((key) => !keys.some((other) => other.text === key.text))];
}

/**
 * What is wrong with the signatures of a checkpoint; undefined when they are what the history asks for. Where two keys
 * sign, one is enough for a held one: a witness keeps only the lines of keys that it knows.
 */
export function judgeSignatures(
  identity: Identity,
  note: Note,
  size: number,
  held: boolean,
): string | undefined {
  const { known, history, toldTo, boundsOfLost } = identity;
  if (checkNote(note, known) !== 'signed')
    return 'it carries no good signature of a key of this log';
  // A repair signs for what is before lost records, when older keys are there no more.
  if (boundsOfLost.has(size)) return undefined;
  const required = keysRequired(history, Math.min(size, toldTo));
  if (size > toldTo) {
    // A key that had retired by then is no good; one that the records do not name may have come later.
    const named = (key: VerifierKey): boolean =>
      history.keys.some((entry) => entry.key.text === key.text);
    const may = known.filter(
      (key) => !named(key) || required.some(({ text }) => text === key.text),
    );
    return checkNote(note, may) === 'signed' ? undefined : 'a key has signed it that had retired';
  }
  const lacking = required.find((key) => !signedByAll(note, [key]));
  if (lacking === undefined) return undefined;
  if (held && required.some((key) => signedByAll(note, [key]))) return undefined;
  return `the log's key ${lacking.hash} must have signed a checkpoint of ${size} records, and has not`;
}

function findForeign(
  facts: Case,
  origin: string | undefined,
  known: readonly VerifierKey[],
  belonging: readonly VerifierKey[],
): Finding[] {
  const found: Finding[] = [];
  for (const { name, note, checkpoint } of facts.held) {
    if (origin !== undefined && checkpoint.origin !== origin) {
      found.push({
        kind: 'origin',
        reason: `${name} is of ${checkpoint.origin}, this log is ${origin}`,
      });
      continue;
    }
    if (note === undefined || known.length === 0) continue;
    if (checkNote(note, known) !== 'signed') {
      found.push({ kind: 'key', reason: `${name} carries no good signature of a key of this log` });
    }
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
