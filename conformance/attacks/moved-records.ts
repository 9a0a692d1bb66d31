import { randomBytes } from 'node:crypto';
import type { Attack, Brought, Expected } from './attack.js';
import { type Folder, file, put } from './folder.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import { placeBehind, tamperedAt } from './places.js';
import type { Random } from './random.js';
import {
  append,
  endsEpoch,
  insertBefore,
  type Members,
  replaceLine,
  replaceRaw,
  type StoredRecord,
} from './records.js';

/** Row 2: records removed, exchanged, copied, forged, by somebody without keys. */
export function movedRecords(logs: Logs, random: Random): Attack[] {
  const { records } = logs.closed;
  const inner = records.filter(({ isLastOfSegment, seq }) => seq > 0 && !isLastOfSegment);
  const chosen = [records[0]!, ...random.sample(inner, 15)];
  const attacks = chosen.flatMap((record, i) => {
    const other = random.pick(records.filter(({ seq }) => seq !== record.seq));
    const brought = i % 2 === 0 ? asPublic(logs) : asAuditor(logs);
    return movesOf(logs, record, other, i % 2 === 0 ? 'public' : 'auditor', brought);
  });
  return [...attacks, ...runs(logs, random), ...behindTheEnd(logs)];
}

/** Removal of the last record of a segment that is not the last: as removed from the middle as any other. */
export function removedSegmentEnds(logs: Logs): Attack[] {
  const { folder, records } = logs.closed;
  return records
    .filter(({ isLastOfSegment, seq }) => isLastOfSegment && seq + 1 < records.length)
    .flatMap((record) => [
      {
        name: `public: record ${record.seq}, the last of its segment, removed`,
        folder: () => replaceRaw(folder, record, ''),
        brought: asPublic(logs),
        expected: { verdict: 'tampered' as const, at: { seq: record.seq } },
      },
    ]);
}

function movesOf(
  logs: Logs,
  record: StoredRecord,
  other: StoredRecord,
  level: string,
  brought: Brought,
): Attack[] {
  const { folder, records } = logs.closed;
  const next = records[record.seq + 1]!;
  const first = record.seq < other.seq ? record : other;
  const attack = (name: string, make: () => Folder, expected: Expected): Attack => ({
    name: `${level}: record ${record.seq} ${name}`,
    folder: make,
    brought,
    expected,
  });
  return [
    attack('removed', () => replaceRaw(folder, record, ''), tamperedAt(record)),
    attack(
      `exchanged with ${next.seq}`,
      () => replaceRaw(replaceLine(folder, next, record.line), record, `${next.line}\n`),
      tamperedAt(record),
    ),
    attack(
      `exchanged with ${other.seq} from anywhere`,
      () => exchange(folder, record, other),
      tamperedAt(first),
    ),
    attack('doubled', () => insertBefore(folder, record, record.line), {
      verdict: 'tampered',
      at: placeBehind(record),
    }),
    attack(
      `preceded by a copy of ${other.seq}`,
      () => insertBefore(folder, record, other.line),
      tamperedAt(record),
    ),
    attack(
      `replaced by a copy of ${other.seq}`,
      () => replaceLine(folder, record, other.line),
      tamperedAt(record),
    ),
    attack(
      `replaced by ${other.seq} under its own numbers`,
      () => replaceLine(folder, record, forged(record, other.members)),
      tamperedAt(record),
    ),
    attack(
      'replaced by a forged record',
      () => replaceLine(folder, record, forged(record, record.members)),
      tamperedAt(record),
    ),
    attack(
      'preceded by a forged record, all behind it renumbered',
      () => renumbered(folder, records, record, [forged(record, other.members)], record.seq),
      { verdict: 'tampered', at: { seq: record.seq } },
    ),
    attack(
      'removed, all behind it renumbered',
      () => renumbered(folder, records, record, [], record.seq + 1),
      { verdict: 'tampered', at: { seq: record.seq } },
    ),
  ];
}

/** Runs of records within one segment. */
function runs({ closed, ...logs }: Logs, random: Random): Attack[] {
  const { folder, records } = closed;
  const brought: Brought = { keys: [logs.publicKey] };
  return Array.from({ length: 8 }, (_, i): Attack => {
    const record = random.pick(records.filter(({ isLastOfSegment }) => !isLastOfSegment));
    const segment = records.filter(({ path, seq }) => path === record.path && seq >= record.seq);
    // The last of the segment stays, so that it is not a segment's end that is gone.
    const run = segment.slice(0, 1 + random.below(segment.length - 1));
    const from = record.offset;
    const to = run.at(-1)!.offset + run.at(-1)!.line.length + 1;
    const bytes = file(folder, record.path);
    const reversed = run.toReversed().map(({ line }) => `${line.toString()}\n`);
    const inPlace = i % 2 === 0 || run.length === 1 ? '' : reversed.join('');
    return {
      name: `public: run ${i}: ${run.length} records from ${record.seq} ${inPlace === '' ? 'removed' : 'reversed'}`,
      folder: () =>
        put(
          folder,
          record.path,
          Buffer.concat([bytes.subarray(0, from), Buffer.from(inPlace), bytes.subarray(to)]),
        ),
      brought,
      expected: tamperedAt(record),
    };
  });
}

/** What is added behind the last record is under no checkpoint: the auditor alone can tell who wrote it. */
function behindTheEnd(logs: Logs): Attack[] {
  const { folder, records } = logs.closed;
  const last = records.at(-1)!;
  const end = { ...placeBehind(last), path: last.path };
  const next = forged({ ...last, seq: last.seq + 1 }, records[5]!.members, {
    epoch: last.epoch + 1,
    prev_hash: last.members['hash'],
  });
  const add = (bytes: string | Buffer) => () => append(folder, last.path, bytes);
  const tampered: Expected = { verdict: 'tampered', at: end };
  const attack = (
    name: string,
    bytes: string | Buffer,
    brought: Brought,
    expected: Expected,
  ): Attack => ({
    name: `${brought.hmacKey === undefined ? 'public' : 'auditor'}: behind the last record: ${name}${brought.strict ? ', strict' : ''}`,
    folder: add(bytes),
    brought,
    expected,
  });
  const both = (name: string, bytes: string | Buffer, expected: Expected): Attack[] => [
    attack(name, bytes, asPublic(logs), expected),
    attack(name, bytes, asAuditor(logs), expected),
  ];
  const ok: Expected = { verdict: 'ok', pending: 0 };
  return [
    attack('a forged record', `${next}\n`, asPublic(logs), { verdict: 'ok', pending: 1 }),
    attack('a forged record', `${next}\n`, asPublic(logs, { strict: true }), {
      verdict: 'ok',
      exit: 3,
    }),
    attack('a forged record', `${next}\n`, asAuditor(logs), tampered),
    ...both('a copy of the last', `${last.line}\n`, tampered),
    ...both('a copy of the first', `${records[0]!.line}\n`, tampered),
    ...both('an empty line', '\n', tampered),
    ...both('a line of rubbish', 'rubbish\n', tampered),
    // Without a newline, or with NULs in it, it is what a write under way or one that was lost looks like.
    ...both('a line of NULs', `${'\0'.repeat(512)}\n`, ok),
    ...both('a forged record without a newline', next, ok),
    ...both('half a record', next.slice(0, 300), ok),
    ...both('NULs', '\0'.repeat(4096), ok),
    ...both('rubbish', randomBytes(64).toString('base64'), ok),
    ...both('70,000 letters', 'x'.repeat(70_000), tampered),
    ...both('a whole record and a byte', `${next}x`, tampered),
    ...both('a whole record and a CR', `${next}\r`, tampered),
  ];
}

function exchange(folder: Folder, a: StoredRecord, b: StoredRecord): Folder {
  // The later one first, so that the offset of the earlier one still holds.
  const [early, late] = a.seq < b.seq ? [a, b] : [b, a];
  return replaceLine(replaceLine(folder, late, early.line), early, late.line);
}

/** A record in another's place with the right numbers and links; only its hash cannot be right. */
function forged(place: StoredRecord, from: Members, links: Members = {}): string {
  const { seq, epoch, members } = place;
  return JSON.stringify({
    ...from,
    seq,
    epoch,
    prev_hash: members['prev_hash'],
    hash: randomBytes(32).toString('hex'),
    ...links,
  });
}

/** All records from `keepFrom` on moved behind `added`, renumbered and chained anew, in the segment of `at` and those behind. */
function renumbered(
  folder: Folder,
  records: readonly StoredRecord[],
  at: StoredRecord,
  added: readonly string[],
  keepFrom: number,
): Folder {
  const result = new Map(folder);
  const before = records[at.seq - 1];
  let seq = at.seq;
  let prevHash = String(before?.members['hash'] ?? '0'.repeat(64));
  let epoch = before === undefined ? 0 : before.epoch + (endsEpoch(before.type) ? 1 : 0);
  const lines = new Map<string, string[]>();
  for (const path of new Set(records.slice(at.seq).map((record) => record.path))) {
    if (path !== at.path) result.delete(path);
  }
  const write = (path: string, members: Members): void => {
    const hash = randomBytes(32).toString('hex');
    const line = JSON.stringify({ ...members, seq, epoch, prev_hash: prevHash, hash });
    lines.set(path, [...(lines.get(path) ?? []), `${line}\n`]);
    epoch += endsEpoch(String(members['event_type'])) ? 1 : 0;
    prevHash = hash;
    seq++;
  };
  for (const line of added) write(at.path, JSON.parse(line) as Members);
  for (const record of records.slice(keepFrom)) write(record.path, record.members);
  for (const [path, written] of lines) {
    const bytes = Buffer.from(written.join(''));
    if (path === at.path) {
      result.set(path, Buffer.concat([file(folder, path).subarray(0, at.offset), bytes]));
    } else {
      const first = (JSON.parse(written[0]!) as { seq: number }).seq;
      result.set(`segments/${String(first).padStart(20, '0')}.jsonl`, bytes);
    }
  }
  return result;
}
