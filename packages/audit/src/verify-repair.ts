import { damagedFolder, describeSetAside, parseRepaired } from './repaired.js';
import { sequenceName } from './segment.js';
import type { Case, Good } from './verify-case.js';
import type { Finding } from './verify-report.js';

/** What repairs are worth (docs/format.md §9.6): they are reported for ever, and believed only as far as checkpoints bind them. */

/** Damage that a repair recorded: the ranges that no segment holds. */
export function lostRanges(facts: Case): Finding[] {
  const { gaps, seq } = facts.reading.repaired;
  return gaps.map(({ range }) => ({
    kind: 'range',
    reason: `records are lost, as the repair at seq ${seq} says; what follows verifies by itself`,
    range,
  }));
}

/** How the finding of a repair begins. */
export const repairedHere = 'the log was repaired here';

/** Every repair there was. */
export function findRepairs(facts: Case): Finding[] {
  return repairsIn(facts).map(({ seq, details }) => ({
    kind: 'repair',
    reason: `${repairedHere}: ${text(details['reason'])}, ${text(details['finding'])}`,
    seq,
    file: `damaged/${sequenceName(seq)}`,
  }));
}

function repairsIn(facts: Case) {
  return facts.reading.facts.filter((fact) => fact.type === 'log.repaired');
}

/** What a record says is shown, but not at any length. */
function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 300) : 'no reason given';
}

/** A repair that excuses more than it may, or whose evidence was touched. */
export function findRepairFaults(facts: Case, good: readonly Good[]): Finding[] {
  const { gaps, seq } = facts.reading.repaired;
  const found: Finding[] = [];
  if (gaps.length > 0 && seq !== undefined && !good.some((entry) => entry.size > seq)) {
    const reason = 'it says that records are lost, and no checkpoint covers it';
    found.push({ kind: 'repair', reason, seq });
  }
  for (const { range, before } of gaps) {
    const [from] = range;
    if (from === 0 || before === undefined) continue;
    if (good.some((entry) => entry.size === from && entry.root === before)) continue;
    const reason = 'no checkpoint is of the records before those that are lost';
    found.push({ kind: 'repair', reason, seq: from, range });
  }
  return [...found, ...findTouched(facts)];
}

/** What was set aside stays as it was. */
function findTouched(facts: Case): Finding[] {
  const found: Finding[] = [];
  for (const { seq, details } of repairsIn(facts)) {
    const recorded = parseRepaired(details, seq)?.set;
    const { files, sha256 } = describeSetAside(damagedFolder(facts.dir, seq));
    if (recorded?.files === files && recorded.sha256 === sha256) continue;
    const reason = 'what a repair set aside is gone or was changed since';
    found.push({ kind: 'repair', reason, file: `damaged/${sequenceName(seq)}`, seq });
  }
  return found;
}
