import { readFolderCheckpoints } from './evidence.js';
import { type Identity, identify, judgeSignatures } from './identity.js';
import { findTampering } from './tampering.js';
import { type Case, type Good, stringOf } from './verify-case.js';
import { withoutForeign } from './verify-held.js';
import { findRepairs, lostRanges } from './verify-repair.js';
import type { Finding, Verdict, VerifyReport } from './verify-report.js';
import { findWitnessed } from './verify-witness.js';

/** The verdict by docs/format.md §9.4: the first that holds, all findings in the order of the rules. */
export function decide(given: Case): VerifyReport {
  const facts = withoutForeign(given);
  const identity = identify(facts);
  const { good, bad } = sortCheckpoints(facts, identity);
  const { reach } = facts.reading;
  const newest = good.reduce((max, entry) => (entry.held ? max : Math.max(max, entry.size)), 0);
  const { witnessed, lacking } = findWitnessed(facts, good);
  const rules: readonly (readonly [Verdict, readonly Finding[]])[] = [
    ['wrong_log', identity.foreign],
    ['tampered', findTampering(withoutHole(facts, newest), identity, good)],
    [
      'truncated',
      reach < newest ? [shortOf(reach, newest, 'the newest checkpoint in the folder')] : [],
    ],
    ['rolled_back', findRollback(facts, good)],
    ['missing', findMissing(facts, good)],
    [
      'tampered',
      [
        ...bad,
        ...identity.unlinked,
        ...findOverdue(facts, identity, newest),
        ...findRepairs(facts),
      ],
    ],
    ['unverifiable', [...findLacking(facts), ...lacking]],
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
    pending: Math.max(0, reach - (checked?.size ?? 0)),
    ...(witnessed === undefined ? {} : { witnessed }),
    segments: facts.segments,
    epochs: facts.reading.epochs,
    ...(forward === undefined ? {} : { forwardSecurity: forward }),
    pruned: facts.reading.pruned.runs,
    findings: rules.flatMap(([, findings]) => findings),
    unfinishedBytes: facts.reading.unfinishedBytes,
  };
}

/** A hole that no checkpoint covers is what a power loss left of an unfinished write; §9.1, rule 6. */
function withoutHole(facts: Case, newest: number): Case {
  const { fault, hole } = facts.reading;
  if (!hole || (fault?.seq ?? 0) < newest) return facts;
  return { ...facts, reading: { ...facts.reading, fault: undefined } };
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
        : checkpoint.origin !== identity.origin
          ? `it is of ${checkpoint.origin}, this log is ${identity.origin}`
          : judgeSignatures(identity, note, checkpoint.size, false);
    if (wrong === undefined)
      good.push({ name: file, size: checkpoint!.size, root: checkpoint!.root, held: false, note });
    else bad.push({ kind: 'checkpoint', reason: wrong, file });
  }
  for (const { name, note, checkpoint, seenMs } of facts.held) {
    if (checkpoint.origin !== identity.origin) continue;
    const wrong =
      note === undefined || identity.known.length === 0
        ? undefined
        : judgeSignatures(identity, note, checkpoint.size, true);
    if (wrong === undefined) {
      good.push({ name, size: checkpoint.size, root: checkpoint.root, held: true, note, seenMs });
    } else bad.push({ kind: 'evidence', reason: `${name}: ${wrong}` });
  }
  return { good, bad };
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

/** What is gone without a deletion that the book allowed, and that a checkpoint covers. */
function findMissing(facts: Case, good: readonly Good[]): Finding[] {
  const { missing, pruned } = facts.reading;
  const found = missing.map((range) => missingRange(range, facts, good));
  found.push(...lostRanges(facts));
  const covered = pruned.seq !== undefined && good.some((entry) => entry.size > pruned.seq!);
  for (const [from, to] of pruned.gaps) {
    if (!covered) {
      const reason = 'records are deleted, and no record under a checkpoint says so';
      found.push({ kind: 'range', reason, range: [from, to] });
    }
  }
  for (const { range, why } of pruned.denied) {
    const gone = pruned.gaps.some(([from, to]) => from < range[1] && range[0] < to);
    if (gone) found.push({ kind: 'range', reason: `records are deleted, but ${why}`, range });
  }
  return found.sort((a, b) => a.range![0] - b.range![0]);
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
function findOverdue(facts: Case, identity: Identity, newest: number): Finding[] {
  const { required } = facts.reading;
  if (newest >= required || identity.known.length === 0) return [];
  // A log that is being written may have made it after the checkpoints were read.
  const later = sortCheckpoints({ ...facts, folder: readFolderCheckpoints(facts.dir) }, identity);
  if (later.good.some((entry) => !entry.held && entry.size >= required)) return [];
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
