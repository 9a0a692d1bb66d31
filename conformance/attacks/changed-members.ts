import type { Attack, Expected } from './attack.js';
import { applies, type Edit, editLine, edits, type Path, pathsOf } from './json-edits.js';
import { asAuditor, asPublic, type Logs, type StoredLog } from './logs.js';
import { tamperedAt } from './places.js';
import { replaceLine, type StoredRecord } from './records.js';

/** Rows 1 and 8: every member of a record, at any depth, is changed, removed, renamed or doubled. */
export function changedMembers(logs: Logs): Attack[] {
  const chosen = chooseRecords(logs.closed.records);
  const covered = chosen.flatMap((record, r) =>
    pathsOf(record.members).flatMap((path, p) =>
      // Every member is changed; the other edits take turns, from record to record differently.
      someEdits(record, path, r + p).map((edit, i): Attack => {
        const auditor = (p + i) % 3 === 0;
        const where = `closed, ${auditor ? 'auditor' : 'public'}`;
        const brought = auditor ? asAuditor(logs) : asPublic(logs);
        return attack(logs.closed, record, path, edit, where, brought, tamperedAt(record));
      }),
    ),
  );
  return [...covered, ...pendingMembers(logs)];
}

function someEdits(record: StoredRecord, path: Path, turn: number): Edit[] {
  const possible = editsOf(record, path);
  const [main, ...others] = possible;
  return [...(main === undefined ? [] : [main]), ...others.slice(turn % others.length).slice(0, 1)];
}

/** Behind the newest checkpoint the auditor sees every change, the public what breaks the form or the chain. */
function pendingMembers(logs: Logs): Attack[] {
  const record = logs.open.records[logs.open.covered + 4]!;
  const { open } = logs;
  return pathsOf(record.members).flatMap((path, p) => {
    const edited = path.length === 1 ? editsOf(record, path) : someEdits(record, path, p);
    const byPublic = edited.map((edit) =>
      attack(
        open,
        record,
        path,
        edit,
        'pending, public',
        asPublic(logs),
        publicView(open, record, path, edit),
      ),
    );
    const byAuditor = someEdits(record, path, p).map((edit) =>
      attack(open, record, path, edit, 'pending, auditor', asAuditor(logs), tamperedAt(record)),
    );
    return [...byPublic, ...byAuditor];
  });
}

const required: ReadonlySet<unknown> = new Set([
  'seq',
  'timestamp',
  'event_id',
  'event_type',
  'emitter',
  'epoch',
  'prev_hash',
  'hash',
]);
const chained: ReadonlySet<unknown> = new Set(['seq', 'epoch', 'prev_hash']);

function publicView(log: StoredLog, record: StoredRecord, path: Path, edit: Edit): Expected {
  const [top, ...deeper] = path;
  const ok: Expected = { verdict: 'ok', pending: log.records.length - log.covered };
  if (edit === 'doubled' || edit === 'doubled by an escape') return tamperedAt(record);
  if (deeper.length > 0) return ok;
  if (edit === 'renamed' || edit === 'retyped') return tamperedAt(record);
  if (edit === 'removed') return required.has(top) ? tamperedAt(record) : ok;
  if (chained.has(top)) return tamperedAt(record);
  if (top !== 'hash') return ok;
  // A hash of the right form shows in the next record's prev_hash only.
  return tamperedAt(edit === 'changed' ? log.records[record.seq + 1]! : record);
}

function attack(
  log: StoredLog,
  record: StoredRecord,
  path: Path,
  edit: Edit,
  where: string,
  brought: Attack['brought'],
  expected: Expected,
): Attack {
  return {
    name: `${where}: record ${record.seq} (${record.type}): ${path.join('.')} ${edit}`,
    folder: () => replaceLine(log.folder, record, editLine(record.members, path, edit)),
    brought,
    expected,
  };
}

function editsOf(record: StoredRecord, path: Path): Edit[] {
  return edits.filter((edit) => applies(edit, path, valueAt(record.members, path)));
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce((at, step) => (at as Record<string | number, unknown>)[step], value);
}

/** One record of each kind of line; the first, and the first of a segment, are among them. */
function chooseRecords(records: readonly StoredRecord[]): StoredRecord[] {
  const of = (wanted: (record: StoredRecord) => boolean): StoredRecord => {
    const found = records.find(wanted);
    if (found === undefined) throw new Error('the log lacks a kind of record that is attacked');
    return found;
  };
  return [
    records[0]!,
    of(({ type, members }) => type === 'tool_execution' && 'trace' in members),
    of(({ members }) => JSON.stringify(members['result'] ?? '').includes('"signal"')),
    of(({ line }) => line.includes('"sha256"')),
    of(({ type, seq }) => type === 'log.sealed' && seq > 256),
    of(({ type }) => type === 'log.epoch'),
    of(({ members }) => JSON.stringify(members['details'] ?? '').includes('"torn_file"')),
    of(({ offset, seq, type }) => offset === 0 && seq > 100 && !type.startsWith('log.')),
    records.at(-1)!,
  ];
}
