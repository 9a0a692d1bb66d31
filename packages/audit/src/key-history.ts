import { checkNote, type Note, parseVerifierKey, type VerifierKey } from './checkpoint.js';
import { checkKeyStatement } from './key-statement.js';
import { stringOf } from './verify-case.js';
import type { LogFact } from './verify-chunk.js';

/** A key that has signed the log, and from when to when it must; docs/format.md §6. */
export interface HistoryKey {
  readonly key: VerifierKey;
  /** The seq of the record that names it. */
  readonly rotatedAt: number;
  /** The seq of the record that retires it; undefined while it signs. */
  readonly retiredAt: number | undefined;
}

/** The keys of a log in their order, as its records tell of them. Whether they are linked is for `identity.ts` to see. */
export interface KeyHistory {
  readonly keys: readonly HistoryKey[];
  /** The first record about keys that breaks a rule; the history ends before it. */
  readonly fault: { readonly seq: number; readonly reason: string } | undefined;
  /** Up to this size it is certain; behind it records are gone that may tell of more keys. */
  readonly certainTo: number;
}

/** A log has no more keys than this; an invented one must not keep a verifier busy. */
export const keysMax = 1_000;

export const keyRecordTypes: ReadonlySet<string> = new Set(['log.key_rotated', 'log.key_retired']);

/**
 * Reads the key history from the record at seq 0 and the records about keys, in order. `gaps` are the beginnings of ranges
 * that are not there, in order. A record behind a gap that follows from what is known shows that none about keys is gone.
 */
export function readKeyHistory(
  first: VerifierKey | undefined,
  records: readonly LogFact[],
  gaps: readonly number[],
): KeyHistory {
  const nextGap = (seq: number): number =>
    gaps.find((gap) => gap > seq) ?? Number.POSITIVE_INFINITY;
  if (first === undefined) return { keys: [], fault: undefined, certainTo: nextGap(-1) };
  let keys: HistoryKey[] = [{ key: first, rotatedAt: 0, retiredAt: undefined }];
  let told = 0;
  for (const record of records) {
    const next = nextKeys(keys, record);
    if (typeof next === 'string') {
      const certainTo = nextGap(told);
      const reason = { seq: record.seq, reason: next };
      return { keys, fault: certainTo < record.seq ? undefined : reason, certainTo };
    }
    keys = next;
    told = record.seq;
  }
  return { keys, fault: undefined, certainTo: nextGap(told) };
}

/** The history after one more record, or what is wrong with the record. */
function nextKeys(
  keys: readonly HistoryKey[],
  { seq, type, details }: LogFact,
): HistoryKey[] | string {
  const previous = stringOf(details['previous']) ?? '';
  const publicKey = stringOf(details['public_key']) ?? '';
  const signature = stringOf(details['signature']) ?? '';
  const newest = keys.at(-1)!;
  const signing = keys.filter((entry) => entry.retiredAt === undefined);
  if (type === 'log.key_rotated') {
    if (signing.length > 1) return 'a key is rotated while two keys sign';
    if (keys.length >= keysMax) return `there are more than ${keysMax} keys`;
    if (previous !== newest.key.text)
      return 'the key it names as previous is not the one that signs';
    const key = parseKey(publicKey);
    if (key === undefined || key.name !== newest.key.name)
      return 'the key it names is not a verifier key named for the origin';
    // Signature lines are told apart by the key's hash alone.
    if (keys.some((entry) => entry.key.hash === key.hash)) return 'the key it names has been used';
    if (!checkKeyStatement('key-rotated', { previous, publicKey }, signature, newest.key))
      return 'the key before did not sign for the new one';
    return [...keys, { key, rotatedAt: seq, retiredAt: undefined }];
  }
  const [retired] = signing;
  if (signing.length < 2 || previous !== retired!.key.text || publicKey !== newest.key.text)
    return 'it retires a key, but not the older one of two that sign';
  if (!checkKeyStatement('key-retired', { previous, publicKey }, signature, newest.key))
    return 'the new key did not sign for the end of the one before';
  return keys.map((entry) => (entry === retired ? { ...entry, retiredAt: seq } : entry));
}

/** The keys that must all have signed a checkpoint of `size` records: one, or two while one takes over from the other. */
export function keysRequired(history: KeyHistory, size: number): VerifierKey[] {
  const named = history.keys.filter((entry, i) => i === 0 || entry.rotatedAt < size);
  return named
    .filter(({ retiredAt }) => retiredAt === undefined || retiredAt >= size)
    .map((entry) => entry.key);
}

/** Whether each of these keys has validly signed the note. */
export function signedByAll(note: Note, keys: readonly VerifierKey[]): boolean {
  return keys.every((key) => checkNote(note, [key]) === 'signed');
}

export function parseKey(text: string | undefined): VerifierKey | undefined {
  try {
    const key = text === undefined ? undefined : parseVerifierKey(text);
    return key?.text === text ? key : undefined;
  } catch {
    // What stands in a record is not to be trusted; without it no checkpoint can be good.
    return undefined;
  }
}
