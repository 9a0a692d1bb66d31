import type { Attack, Expected, Place } from './attack.js';
import { asAuditor, asPublic, type Logs, type StoredLog } from './logs.js';
import { placeBehind, tamperedAt } from './places.js';
import { replaceRaw, type StoredRecord } from './records.js';

/** What is done to the bytes of a line and its newline. */
interface LineEdit {
  readonly name: string;
  raw(line: string): string | Buffer;
  /** Whether the line still is a record by its form, so that only its content betrays it. */
  readonly formed?: boolean;
  /** Where it shows, if not at the line itself. */
  at?(record: StoredRecord): Place;
}

const full = (edit: (line: string) => string) => (line: string) => `${edit(line)}\n`;
const within = (from: string | RegExp, to: string) =>
  full((line) => {
    const changed = line.replace(from, to);
    if (changed === line) throw new Error(`${String(from)} is not in ${line}`);
    return changed;
  });
const padded = (length: number) =>
  full((line) => {
    const members = JSON.parse(line) as Record<string, unknown>;
    const grown = { ...members, source: '' };
    const room = length - Buffer.byteLength(JSON.stringify(grown));
    return JSON.stringify({ ...grown, source: 'x'.repeat(room) });
  });
const nested = (depth: number) =>
  within('"details":{', `"details":{"deep":${'['.repeat(depth)}${']'.repeat(depth)},`);
const bytes = (text: string, at: string, inserted: readonly number[]) => {
  const [front, behind] = [text.slice(0, text.indexOf(at)), text.slice(text.indexOf(at))];
  return Buffer.concat([Buffer.from(front), Buffer.from(inserted), Buffer.from(`${behind}\n`)]);
};

/** Edits of the bytes around and between the members. */
const framing: readonly LineEdit[] = [
  { name: 'newline removed', raw: (line) => line },
  { name: 'newline made CRLF', raw: (line) => `${line}\r\n` },
  { name: 'newline made CR', raw: (line) => `${line}\r` },
  { name: 'newline made a space', raw: (line) => `${line} ` },
  { name: 'newline made NUL', raw: (line) => `${line}\0` },
  { name: 'newline made U+2028', raw: (line) => `${line}\u2028` },
  { name: 'empty line before', raw: (line) => `\n${line}\n` },
  { name: 'empty line behind', raw: (line) => `${line}\n\n`, at: placeBehind },
  { name: 'NUL line behind', raw: (line) => `${line}\n\0\n`, at: placeBehind },
  { name: 'empty object behind', raw: (line) => `${line}\n{}\n`, at: placeBehind },
  { name: 'space before', raw: (line) => ` ${line}\n` },
  { name: 'space behind', raw: (line) => `${line} \n` },
  { name: 'tab behind', raw: (line) => `${line}\t\n` },
  { name: 'NUL behind', raw: (line) => `${line}\0\n` },
  { name: 'letter behind', raw: (line) => `${line}x\n` },
  { name: 'byte order mark before', raw: (line) => `\ufeff${line}\n` },
  { name: 'newline between members', raw: within(',"event_type"', ',\n"event_type"') },
  { name: 'CR between members', raw: within(',"event_type"', ',\r"event_type"') },
  { name: 'space between members', raw: within(',"event_type"', ', "event_type"'), formed: true },
  { name: 'space behind a name', raw: within('"event_type":', '"event_type" :'), formed: true },
  { name: 'space behind the brace', raw: within('{"seq":', '{ "seq":') },
  { name: 'space before seq', raw: within('"seq":', '"seq": ') },
  { name: 'space before epoch', raw: within('"epoch":', '"epoch": ') },
  { name: 'space before prev_hash', raw: within(',"prev_hash"', ', "prev_hash"') },
  { name: 'space before the last brace', raw: within(/\}$/, ' }') },
  { name: 'second object behind', raw: full((line) => `${line}{}`) },
  { name: 'the line twice in one', raw: full((line) => `${line}${line}`) },
  { name: 'in an array', raw: full((line) => `[${line}]`) },
  { name: 'no last brace', raw: within(/\}$/, '') },
  { name: 'empty', raw: () => '\n' },
  { name: 'zeroed', raw: full((line) => '\0'.repeat(line.length)) },
];

/** Edits of how values and members are written. */
const writing: readonly LineEdit[] = [
  { name: 'comma behind the last member', raw: within(/\}$/, ',}') },
  { name: 'comment', raw: within(',"event_type"', ',/* */"event_type"') },
  { name: 'NaN', raw: within('"details":{', '"details":{"n":NaN,') },
  { name: 'plus sign', raw: within('"details":{', '"details":{"n":+1,') },
  { name: 'leading zero', raw: within('"details":{', '"details":{"n":01,') },
  { name: 'bare fraction', raw: within('"details":{', '"details":{"n":.5,') },
  { name: 'hex number', raw: within('"details":{', '"details":{"n":0x10,') },
  { name: 'True', raw: within('"details":{', '"details":{"n":True,') },
  { name: 'single quotes', raw: within('"details":{', '"details":{\'n\':1,') },
  { name: 'unknown escape', raw: within('"details":{', '"details":{"n":"\\x41",') },
  { name: 'raw control character', raw: within('"details":{', '"details":{"n":"\u0001",') },
  { name: 'lone surrogate', raw: within('"details":{', '"details":{"n":"\\ud800",'), formed: true },
  { name: 'huge number', raw: within('"details":{', '"details":{"n":1e999,'), formed: true },
  {
    name: 'an integer of 5,000 digits',
    raw: within('"details":{', `"details":{"n":${'9'.repeat(5_000)},`),
    formed: true,
  },
  { name: '__proto__', raw: within('"details":{', '"details":{"__proto__":{},'), formed: true },
  { name: 'deeper than 512', raw: nested(600) },
  { name: '400 deep', raw: nested(400), formed: true },
  { name: 'broken UTF-8', raw: (line) => bytes(line, '"details"', [0x22, 0xff]) },
  { name: 'a surrogate in UTF-8', raw: (line) => bytes(line, '","event_id"', [0xed, 0xa0, 0x80]) },
  { name: 'overlong UTF-8', raw: (line) => bytes(line, '","event_id"', [0xc0, 0xaf]) },
  { name: 'longer than 65,535', raw: padded(65_536) },
  { name: '65,535 long', raw: padded(65_535), formed: true },
  { name: 'seq with a leading zero', raw: within('{"seq":', '{"seq":0') },
  { name: 'seq with a fraction', raw: within(/^\{"seq":(\d+)/, '{"seq":$1.0') },
  { name: 'seq with an exponent', raw: within(/^\{"seq":(\d+)/, '{"seq":$1e0') },
  { name: 'seq negative', raw: within('{"seq":', '{"seq":-') },
  { name: 'seq beyond 2^53', raw: within(/^\{"seq":(\d+)/, '{"seq":9007199254740993') },
  { name: 'seq a string', raw: within(/^\{"seq":(\d+)/, '{"seq":"$1"') },
  { name: 'seq escaped', raw: within('{"seq"', '{"\\u0073eq"') },
  { name: 'epoch with a leading zero', raw: within('"epoch":', '"epoch":0') },
  { name: 'epoch with a fraction', raw: within(/"epoch":(\d+)/, '"epoch":$1.0') },
  { name: 'hash in capitals', raw: within(/[a-f](?=[0-9]*"\}$)/, 'A') },
  { name: 'hash one digit short', raw: within(/.("\})$/, '$1') },
  { name: 'hash one digit long', raw: within(/("\})$/, '0$1') },
  { name: 'hash no hex', raw: within(/.("\})$/, 'g$1') },
];

/** Edits of which members there are. */
const membership: readonly LineEdit[] = [
  { name: 'member added at the top', raw: within(',"epoch"', ',"extra":1,"epoch"') },
  { name: '__proto__ at the top', raw: within(',"epoch"', ',"__proto__":{},"epoch"') },
  { name: 'member added behind hash', raw: within(/\}$/, ',"x":1}') },
  { name: 'known member added', raw: within('"details":{', '"details":{"new":1,'), formed: true },
  {
    name: 'timestamp and event_id exchanged',
    raw: within(/("timestamp":"[^"]*"),("event_id":"[^"]*")/, '$2,$1'),
  },
  {
    name: 'epoch and prev_hash exchanged',
    raw: within(/("epoch":\d+),("prev_hash":"[^"]*")/, '$2,$1'),
  },
  {
    name: 'prev_hash and hash exchanged',
    raw: within(/("prev_hash":"[^"]*"),("hash":"[^"]*")/, '$2,$1'),
  },
  {
    name: 'epoch, prev_hash and hash stripped',
    raw: within(/,"epoch":.*$/, '}'),
  },
  { name: 'all but seq stripped', raw: within(/,.*$/, '}') },
  { name: 'hash written in front', raw: within('{"seq":', '{"hash":"","seq":') },
];

const lineEdits = [...framing, ...writing, ...membership];

/** Rows 1 and 8: what stands between the members, how they are written, and which there are. */
export function changedLines(logs: Logs): Attack[] {
  const { closed, open } = logs;
  const covered = chooseCovered(closed).flatMap((record, r) =>
    lineEdits.map((edit, i): Attack => {
      const auditor = (i + r) % 2 === 0;
      const brought = auditor ? asAuditor(logs) : asPublic(logs);
      const where = `closed, ${auditor ? 'auditor' : 'public'}`;
      const expected = hole(edit, record, closed) ?? seen(edit, record, closed);
      return lineAttack(closed, record, edit, where, brought, expected);
    }),
  );
  const pending = open.records[open.covered + 6]!;
  const ok: Expected = { verdict: 'ok', pending: open.records.length - open.covered };
  const behind = lineEdits.flatMap((edit) => {
    const expected = hole(edit, pending, open) ?? seen(edit, pending, open);
    return [
      lineAttack(open, pending, edit, 'pending, auditor', asAuditor(logs), expected),
      lineAttack(
        open,
        pending,
        edit,
        'pending, public',
        asPublic(logs),
        edit.formed ? ok : expected,
      ),
    ];
  });
  return [...covered, ...behind];
}

/**
 * A NUL behind the newest checkpoint is what a power loss leaves of an unsynced write; nothing tells it from one. It ends
 * the log there, as cutting it off would.
 */
function hole(edit: LineEdit, record: StoredRecord, log: StoredLog): Expected | undefined {
  const at = edit.at === undefined ? record.seq : record.seq + 1;
  if (at < log.covered || !edit.raw(record.line.toString()).includes('\0')) return undefined;
  return { verdict: 'ok', pending: at - log.covered };
}

function seen(edit: LineEdit, record: StoredRecord, log: StoredLog): Expected {
  const last = record.seq + 1 === log.records.length;
  // A last line without its newline may be a write that never ended: it does not count, and the log is short by one.
  if (last && edit.name === 'newline removed')
    return { verdict: 'truncated', at: { range: [record.seq, record.seq + 1] } };
  if (edit.at !== undefined) return { verdict: 'tampered', at: edit.at(record) };
  return tamperedAt(record);
}

function lineAttack(
  log: StoredLog,
  record: StoredRecord,
  edit: LineEdit,
  where: string,
  brought: Attack['brought'],
  expected: Expected,
): Attack {
  return {
    name: `${where}: line ${record.seq} (${record.type}): ${edit.name}`,
    folder: () => replaceRaw(log.folder, record, edit.raw(record.line.toString())),
    brought,
    expected,
  };
}

/** With `details` each: the first of all, the last of a segment between, the last of all. */
function chooseCovered({ records }: StoredLog): StoredRecord[] {
  const sealed = records.find(({ isLastOfSegment, seq }) => isLastOfSegment && seq > 200);
  return [records[0]!, sealed!, records.at(-1)!];
}
