import { checkNote, parseVerifierKey, type VerifierKey } from './checkpoint.js';
import { type Case, stringOf } from './verify-case.js';
import type { Finding } from './verify-report.js';

/** Whose log this is. */
export interface Identity {
  readonly origin: string | undefined;
  readonly known: readonly VerifierKey[];
  /** What the record at seq 0 says. */
  readonly claimedOrigin: string | undefined;
  readonly claimedKey: string | undefined;
  readonly foreign: readonly Finding[];
}

/** Whose log this is, by §9.2. */
export function identify(facts: Case): Identity {
  const first = facts.reading.facts.find((fact) => fact.seq === 0 && fact.type === 'log.opened');
  const claimedOrigin = stringOf(first?.details['origin']);
  const claimedKey = stringOf(first?.details['public_key']);
  const formed = facts.folder.entries.filter((entry) => entry.note !== undefined);
  const signs = (key: VerifierKey): boolean =>
    formed.some(
      ({ note, checkpoint }) =>
        checkpoint?.origin === key.name && note && checkNote(note, [key]) === 'signed',
    );
  // A folder that names nobody cannot be another log's.
  const anonymous = first === undefined && formed.length === 0;
  const belonging = facts.keys.filter((key) => anonymous || key.text === claimedKey || signs(key));
  const known = facts.keys.length > 0 ? belonging : parseKey(claimedKey);
  const origin =
    belonging[0]?.name ??
    claimedOrigin ??
    formed[0]?.checkpoint?.origin ??
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

function parseKey(text: string | undefined): VerifierKey[] {
  if (text === undefined) return [];
  try {
    return [parseVerifierKey(text)];
  } catch {
    // What stands in the record is not to be trusted; without it no checkpoint can be good.
    return [];
  }
}
