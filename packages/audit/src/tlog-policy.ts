import { type Note, parseVerifierKey, type VerifierKey } from './checkpoint.js';
import {
  type CosignerKey,
  findCosignature,
  parseCosignerKey,
  sameCosigner,
} from './cosignature.js';
import { AuditError, reasonOf } from './errors.js';

/** Which logs and witnesses a verifier trusts, and how many of them it wants: c2sp.org/tlog-policy. */

export interface PolicyWitness {
  readonly name: string;
  readonly key: CosignerKey;
  /** Submission prefix, where the file names one. */
  readonly url?: string;
}

/** A rule over witnesses: none asked for, one of them, or at least `threshold` of the members. */
export type Quorum =
  | { readonly kind: 'none' }
  | { readonly kind: 'witness'; readonly witness: PolicyWitness }
  | { readonly kind: 'group'; readonly threshold: number; readonly members: readonly Quorum[] };

export interface TlogPolicy {
  readonly logs: readonly VerifierKey[];
  readonly witnesses: readonly PolicyWitness[];
  readonly quorum: Quorum;
}

const policyBytesMax = 1024 * 1024;
/** Far above the 32 logs, 32 witnesses and 32 groups that the spec asks to be possible. */
const linesMax = 4_096;

interface Draft {
  readonly logs: VerifierKey[];
  readonly witnesses: PolicyWitness[];
  readonly named: Map<string, Quorum>;
  /** Names that are members of a group already; each may be of one. */
  readonly taken: Set<string>;
  quorum: Quorum | undefined;
}

/** Reads a policy file. Throws `bad_policy` naming the line. */
export function parsePolicy(bytes: Uint8Array): TlogPolicy {
  const draft: Draft = {
    logs: [],
    witnesses: [],
    named: new Map(),
    taken: new Set(),
    quorum: undefined,
  };
  const bad = (line: number, reason: string): AuditError =>
    new AuditError('bad_policy', `not a policy: line ${line}: ${reason}`);
  if (bytes.length > policyBytesMax) throw bad(1, `it is larger than ${policyBytesMax} bytes`);
  // One character an octet: names are opaque octets to the format.
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.pop() !== '') throw bad(lines.length + 1, 'it does not end in a newline');
  if (lines.length > linesMax) throw bad(linesMax, `it has more than ${linesMax} lines`);
  lines.forEach((line, at) => {
    if (/[^\t\x20-\x7e\x80-\xff]/.test(line)) throw bad(at + 1, 'it holds a control character');
    const words = line.split(/[ \t]+/).filter((word) => word !== '');
    if (words.length === 0 || words[0]!.startsWith('#')) return;
    try {
      takeLine(draft, words);
    } catch (error) {
      throw bad(at + 1, reasonOf(error));
    }
  });
  const { logs, witnesses, quorum } = draft;
  if (quorum === undefined) throw bad(lines.length + 1, 'there is no quorum line');
  return { logs, witnesses, quorum };
}

function takeLine(draft: Draft, [keyword, ...words]: readonly string[]): void {
  switch (keyword) {
    case 'log':
      takeLog(draft, words);
      break;
    case 'witness':
      takeWitness(draft, words);
      break;
    case 'group':
      takeGroup(draft, words);
      break;
    case 'quorum':
      takeQuorum(draft, words);
      break;
    default:
      throw new Error(`unknown keyword ${keyword}`);
  }
}

/** Keys are UTF-8 in files that are otherwise octets. */
function utf8(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('utf8');
}

function takeLog(draft: Draft, [vkey, , ...more]: readonly string[]): void {
  if (vkey === undefined || more.length > 0) throw new Error('expected: log <vkey> [<url>]');
  const key = parseVerifierKey(utf8(vkey));
  const material = (other: VerifierKey): string => other.text.split('+').slice(2).join('+');
  if (draft.logs.some((other) => material(other) === material(key))) {
    throw new Error(`the log key of ${key.name} stands twice`);
  }
  draft.logs.push(key);
}

function takeWitness(draft: Draft, [name, vkey, url, ...more]: readonly string[]): void {
  if (name === undefined || vkey === undefined || more.length > 0) {
    throw new Error('expected: witness <name> <vkey> [<url>]');
  }
  checkNew(draft, name);
  const key = parseCosignerKey(utf8(vkey));
  if (draft.witnesses.some((other) => sameCosigner(other.key, key))) {
    throw new Error(`the key of witness ${name} stands twice`);
  }
  const witness = { name, key, ...(url === undefined ? {} : { url: utf8(url) }) };
  draft.witnesses.push(witness);
  draft.named.set(name, { kind: 'witness', witness });
}

function takeGroup(draft: Draft, [name, size, ...names]: readonly string[]): void {
  if (name === undefined || size === undefined || names.length === 0) {
    throw new Error('expected: group <name> all|any|<k> <name>...');
  }
  checkNew(draft, name);
  const members = names.map((member) => {
    if (draft.taken.has(member)) throw new Error(`${member} is a member of a group already`);
    draft.taken.add(member);
    return defined(draft, member);
  });
  const threshold = size === 'all' ? members.length : size === 'any' ? 1 : Number(size);
  const decimal = size === 'all' || size === 'any' || /^[1-9][0-9]{0,3}$/.test(size);
  if (!decimal || threshold > members.length) {
    throw new Error(`the threshold ${size} is not all, any, or 1 to ${members.length}`);
  }
  draft.named.set(name, { kind: 'group', threshold, members });
}

function takeQuorum(draft: Draft, [name, ...more]: readonly string[]): void {
  if (name === undefined || more.length > 0) throw new Error('expected: quorum <name>');
  if (draft.quorum !== undefined) throw new Error('there is a quorum line already');
  draft.quorum = name === 'none' ? { kind: 'none' } : defined(draft, name);
}

function checkNew(draft: Draft, name: string): void {
  if (name === 'none' || draft.named.has(name)) throw new Error(`the name ${name} is taken`);
}

function defined(draft: Draft, name: string): Quorum {
  const found = draft.named.get(name);
  if (found === undefined) throw new Error(`${name} is not defined above`);
  return found;
}

/** The policy of somebody who named witnesses one by one: all of them. */
export function allOf(keys: readonly CosignerKey[]): TlogPolicy {
  const witnesses = keys.map((key) => ({ name: key.name, key }));
  const members = witnesses.map((witness): Quorum => ({ kind: 'witness', witness }));
  return {
    logs: [],
    witnesses,
    quorum: { kind: 'group', threshold: members.length, members },
  };
}

/**
 * The latest time in seconds as of which the quorum had cosigned this note, -Infinity when it has not, Infinity when
 * none is asked for. Cosignatures dated after `notAfter` count as absent. A note with a broken line of a known witness
 * is no note (c2sp.org/signed-note).
 */
export function quorumTime(
  policy: TlogPolicy,
  note: Note,
  notAfter = Number.POSITIVE_INFINITY,
): number {
  const times = new Map<PolicyWitness, number>();
  for (const witness of policy.witnesses) {
    const found = findCosignature(note, witness.key);
    if (found === 'broken') return Number.NEGATIVE_INFINITY;
    if (found !== 'absent' && found.seconds <= notAfter) times.set(witness, found.seconds);
  }
  return timeOf(policy.quorum, times);
}

function timeOf(quorum: Quorum, times: ReadonlyMap<PolicyWitness, number>): number {
  if (quorum.kind === 'none') return Number.POSITIVE_INFINITY;
  if (quorum.kind === 'witness') return times.get(quorum.witness) ?? Number.NEGATIVE_INFINITY;
  const members = quorum.members.map((member) => timeOf(member, times)).sort((a, b) => b - a);
  return members[quorum.threshold - 1]!;
}
