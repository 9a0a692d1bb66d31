import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drop, type Folder, file, put, segmentPaths } from '../attacks/folder.js';
import { draftsOf, forge, stealKeys } from '../attacks/forger.js';
import { parseCheckpoint } from '../attacks/notes.js';
import { insertBefore, readRecords, replaceLine, type StoredRecord } from '../attacks/records.js';
import { openWallClock } from '../attacks/wall-clock.js';
import { gatebookBin, linesOf } from '../cli/gatebook.js';
import { readableCopy } from '../cli/readable-copy.js';
import { Book, Desk, events, type User } from './desk.js';

/** The fifteen rows of what the log promises (SECURITY.md), one example of each; the other suites go through them systematically. */

const isRoot = process.getuid?.() === 0;
/** A user and a stranger that nobody else is. */
const throwAway: User = { uid: 61_211, gid: 61_211 };
const stranger: User = { uid: 61_213, gid: 61_213 };
const hour = 3_600_000;

if (!isRoot) {
  console.error('\n*** SKIPPED: only root can be another user: the rows run as this user alone,');
  console.error('*** and the half of row 15 that needs a stranger does not run.\n');
}

let programFolder: string | undefined;
let program = gatebookBin;

beforeAll(() => {
  if (!isRoot) return;
  programFolder = mkdtempSync(join(tmpdir(), 'gatebook-program-'));
  chmodSync(programFolder, 0o755);
  program = readableCopy(join(programFolder, 'program'));
}, 120_000);

afterAll(() => {
  if (programFolder !== undefined) rmSync(programFolder, { recursive: true, force: true });
});

const users: [string, User | undefined, boolean][] = [
  ['this user', undefined, true],
  ['a throw-away user', throwAway, isRoot],
];

for (const [who, user, can] of users) {
  describe.skipIf(!can)(`as ${who}`, { timeout: hour }, () => {
    let desk: Desk;
    let book: Book;
    let untouched: Folder;
    let records: StoredRecord[];
    /** The checkpoint of the untouched log, and one of its first session. */
    let held: string;
    let early: Folder;

    beforeAll(async () => {
      desk = new Desk(program, user);
      book = await Book.open(desk);
      await book.record(40, ['--max-size-mb', '0.01']);
      early = await book.folder();
      await book.record(60, ['--max-size-mb', '0.01']);
      untouched = await book.folder();
      records = readRecords(untouched);
      held = join(desk.root, 'held');
      cpSync(join(book.log, 'checkpoint'), held);
      desk.own(desk.root);
      expect(segmentPaths(untouched).length).toBeGreaterThan(3);
      expect((await book.verify()).verdict).toBe('ok');
      expect((await book.verify(undefined, book.auditor)).verdict).toBe('ok');
    }, hour);

    afterAll(() => desk.remove());

    /** What the file's owner sees does not go by who he is: of examples alike the throw-away user has the first. */
    const examples = <T>(all: readonly T[]): readonly T[] =>
      user === undefined ? all : all.slice(0, 1);
    const event = (at: number): StoredRecord =>
      records.filter(({ type }) => type === 'tool_execution')[at]!;
    const changed = (record: StoredRecord, from: string, to: string): Folder => {
      const line = record.line.toString().replace(from, to);
      expect(line).not.toBe(record.line.toString());
      return replaceLine(untouched, record, line);
    };

    test('row 1: a byte of a record changes: tampered, with segment, seq and byte offset', async () => {
      const record = event(20);
      const digit = record.line.at(-5)! === 0x61 ? 'b' : 'a';
      const hash = `${record.line.subarray(-6, -5)}${digit}${record.line.subarray(-4)}`;
      for (const folder of examples([
        changed(record, '"tool":"echo"', '"tool":"ecto"'),
        replaceLine(untouched, record, `${record.line.subarray(0, -6)}${hash}`),
      ])) {
        for (const flags of [[], book.auditor]) {
          const { verdict, code, findings } = await book.verify(folder, flags);
          expect([verdict, code]).toEqual(['tampered', 1]);
          expect(findings[0]).toMatchObject({ seq: record.seq, offset: record.offset });
          expect(record.path).toContain(findings[0]!.segment!);
        }
      }
    });

    test('row 2: a record is removed, swapped, copied in, forged: tampered at the first wrong seq', async () => {
      const [a, b] = [event(20), records[event(20).seq + 1]!];
      const bytes = file(untouched, a.path);
      const removed = Buffer.concat([
        bytes.subarray(0, a.offset),
        bytes.subarray(a.offset + a.line.length + 1),
      ]);
      for (const folder of examples([
        put(untouched, a.path, removed),
        replaceLine(replaceLine(untouched, b, a.line), a, b.line),
        insertBefore(untouched, a, event(3).line),
        insertBefore(untouched, a, changedLine(a)),
      ])) {
        const { verdict, findings } = await book.verify(folder);
        expect(verdict).toBe('tampered');
        expect(findings[0]?.seq).toBe(a.seq);
      }
    });

    test('row 3: records are cut off the end: truncated by what the folder holds, rolled back by held evidence', async () => {
      const last = segmentPaths(untouched).at(-1)!;
      const cut = drop(untouched, last);
      expect(await book.verify(cut)).toMatchObject({ verdict: 'truncated', code: 1 });
      expect(await book.verify(early, ['--checkpoint', held])).toMatchObject({
        verdict: 'rolled_back',
        code: 1,
      });
    });

    test('row 4: an older copy, another log or a fork: rolled back, wrong log, tampered', async () => {
      const other = await Book.open(desk);
      await other.record(5);
      const brought = ['--checkpoint', held];
      expect((await book.verify(await other.folder(), brought)).verdict).toBe('wrong_log');
      expect((await book.verify(early, brought)).verdict).toBe('rolled_back');
      const [log, keys] = [desk.path('fork'), desk.path('fork-keys')];
      cpSync(other.log, log, { recursive: true, verbatimSymlinks: true });
      // Not cpSync, which from Node 22 on makes folders that are open to other users.
      await cp(other.keys, keys, { recursive: true });
      desk.own(log);
      desk.own(keys);
      const fork = new Book(desk, log, keys, other.hmacKey);
      await fork.record(5);
      await other.record(5);
      const evidence = desk.path('held');
      writeFileSync(evidence, file(await fork.folder(), 'checkpoint'), { mode: 0o644 });
      expect((await other.verify(undefined, ['--checkpoint', evidence])).verdict).toBe('tampered');
      expect((await other.verify()).verdict).toBe('ok');
    });

    test('row 5: a segment is deleted that the policy in the book does not let go: missing, with its range', async () => {
      const [, second, third] = segmentPaths(untouched);
      const range = [second!, third!].map((path) => Number(/\d{20}/.exec(path)![0]));
      const { verdict, code, findings } = await book.verify(drop(untouched, second!));
      expect([verdict, code]).toEqual(['missing', 1]);
      expect(findings[0]?.range).toEqual(range);
    });

    test('row 6: the log deletes by its policy: pruned, with range, reason and time; what is kept verifies', async () => {
      const own = await Book.open(desk);
      await own.record(400, ['--max-size-mb', '0.02']);
      const before = desk.path('held');
      cpSync(join(own.log, 'checkpoint'), before);
      desk.own(desk.root);
      for (const kept of ['150', '120']) {
        await own.must(['audit', 'prune', '--max-records', kept]);
        for (const flags of [[], own.auditor]) {
          const report = await own.verify(undefined, [...flags, '--checkpoint', before]);
          expect([report.verdict, report.code]).toEqual(['ok', 0]);
          const { range, reason, time } = report.pruned[0]!;
          expect([range[0], reason]).toEqual([0, 'records']);
          expect(range[1]).toBeGreaterThan(100);
          expect(Date.parse(time)).toBeGreaterThan(Date.now() - hour);
        }
        await own.record(100, ['--max-size-mb', '0.02']);
      }
    });

    test('row 7: a key holder rewrites an ended epoch and signs anew: tampered for the auditor, and against held evidence', async () => {
      const keys = await stealKeys(book.keys);
      const { size } = parseCheckpoint(file(untouched, 'checkpoint'));
      const stored = { folder: untouched, records, covered: size };
      const seq = event(10).seq;
      const drafts = draftsOf(stored).map((draft, at) => {
        if (at !== seq) return draft;
        const { startsSegment, members } = draft;
        return { startsSegment, members: { ...members, event_type: 'acme.harmless' } };
      });
      const forged = forge(stored, drafts, keys);
      expect((await book.verify(forged)).verdict).toBe('ok');
      expect(await book.verify(forged, book.auditor)).toMatchObject({
        verdict: 'tampered',
        code: 1,
      });
      expect(await book.verify(forged, ['--checkpoint', held])).toMatchObject({
        verdict: 'tampered',
        code: 1,
      });
    });

    test('row 8: a hash or signature is stripped, an epoch changed, a member doubled: tampered', async () => {
      const record = event(20);
      const line = record.line.toString();
      const note = file(untouched, 'checkpoint').toString();
      for (const folder of examples([
        replaceLine(untouched, record, `${line.slice(0, -75)}}`),
        changed(record, '"event_type":', '"event_type":"a.b","event_type":'),
        changed(record, `"epoch":${record.epoch}`, `"epoch":${record.epoch + 1}`),
        put(untouched, 'checkpoint', note.slice(0, note.indexOf('\n\n') + 2)),
        put(untouched, 'checkpoint', note.replace(/(— \S+ ).{8}/, '$1AAAAAAAA')),
      ])) {
        expect(await book.verify(folder)).toMatchObject({ verdict: 'tampered', code: 1 });
      }
    });

    test('row 9: the verifier lacks a key: unverifiable', async () => {
      expect(await book.verify(undefined, ['--no-keys'])).toMatchObject({
        verdict: 'unverifiable',
        code: 3,
      });
      const asked = await book.verify(undefined, ['--level', 'auditor']);
      expect([asked.verdict, asked.code]).toEqual(['unverifiable', 3]);
    });

    test('row 10: kill -9: every acknowledged record is there once, and the log goes on', async () => {
      const own = await Book.open(desk);
      const acknowledged: string[] = [];
      for (let round = 0; round < 2; round++) {
        const child = desk.start(['record', '--log', own.log, '--keys', own.keys]);
        child.stdin.write(events(20_000));
        for await (const line of createInterface({ input: child.stdout })) {
          // A line that the kill cut short was promised to nobody.
          if (!line.endsWith('}')) continue;
          acknowledged.push((JSON.parse(line) as { event_id: string }).event_id);
          if (acknowledged.length % 1_500 === 0) child.kill('SIGKILL');
        }
      }
      expect(acknowledged.length).toBeGreaterThanOrEqual(3_000);
      await own.record(1);
      await expectAll(own, acknowledged);
      expect((await own.verify(undefined, own.auditor)).verdict).toBe('ok');
    });

    test('row 11: no file may grow any more: the caller hears of it, no half line stays, the log opens again', async () => {
      const own = await Book.open(desk);
      const limited = ['bash', '-c', 'ulimit -f 64; exec "$@"', 'bash'];
      const ran = await own.run(['record'], events(600), { before: limited });
      expect(ran.code).toBe(1);
      const answers = linesOf(ran.stdout).map((line) => JSON.parse(line) as Answer);
      const good = answers.filter(({ ok }) => ok).map(({ event_id }) => event_id!);
      expect(answers.filter(({ ok }) => !ok)[0]?.error?.code).toBe('write_failed');
      expect(good.length).toBeGreaterThan(20);
      const folder = await own.folder();
      for (const path of segmentPaths(folder))
        expect(file(folder, path).toString()).toMatch(/(^|\n)$/);
      await own.record(1);
      await expectAll(own, good);
      expect((await own.verify(undefined, own.auditor)).verdict).toBe('ok');
    });

    test('row 12: two processes, one chain; a stopped writer is named, a dead one replaced', async () => {
      const own = await Book.open(desk);
      const args = ['record', '--log', own.log, '--keys', own.keys];
      const first = desk.start(args);
      const ids: string[] = [];
      const appender = (child: ReturnType<Desk['start']>) => {
        const answered = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
        return async (): Promise<void> => {
          child.stdin.write(events(1));
          const { value } = await answered.next();
          ids.push((JSON.parse(String(value)) as { event_id: string }).event_id);
        };
      };
      const byFirst = appender(first);
      await byFirst();
      // Only now, so that it is the first that writes.
      const second = desk.start(args);
      try {
        const bySecond = appender(second);
        await bySecond();
        await byFirst();
        first.kill('SIGSTOP');
        const late = await own.run(['record'], events(1));
        expect(late.code).toBe(1);
        expect(late.stderr).toContain(`process ${first.pid}`);
        first.kill('SIGKILL');
        await bySecond();
        second.stdin.end();
        expect((await once(second, 'close'))[0]).toBe(0);
        await expectAll(own, ids);
        expect((await own.verify(undefined, own.auditor)).verdict).toBe('ok');
      } finally {
        first.kill('SIGKILL');
        second.kill('SIGKILL');
      }
    });

    test('row 13: the clock jumps: recorded, in the order of seq, nothing flagged, nothing deleted', async () => {
      const own = await Book.open(desk);
      const clock = await openWallClock(desk.root);
      for (const [offset, options] of [
        [0, ['--retention-days', '1', '--max-size-mb', '0.01']],
        [20 * 86_400, []],
        [-86_400, []],
      ] as const) {
        await clock.set(offset);
        await own.record(150, [...options, '--max-size-mb', '0.01'], { env: clock.env });
        await own.must(['audit', 'prune'], '', { env: clock.env });
      }
      const report = await own.verify(undefined, own.auditor);
      expect([report.verdict, report.pruned]).toEqual(['ok', []]);
      const types = await own.types();
      expect(types.filter((type) => type === 'log.clock_jump').length).toBeGreaterThan(1);
      expect(types.filter((type) => type === 'tool_execution')).toHaveLength(450);
    });

    test('row 14: what cannot be recorded is refused, with the member named, and harms nothing', async () => {
      const own = await Book.open(desk);
      const bad: [string, string][] = [
        [`{"s":"\\ud800"}`, 'details.s'],
        [`{"n":9007199254740993}`, 'details.n'],
        [`{"__proto__":{"a":1}}`, 'details.__proto__'],
        [`{"big":"${'x'.repeat(70_000)}"}`, 'details'],
      ];
      const input = bad.map(([details]) => `{"event_type":"acme.try","details":${details}}\n`);
      const ran = await own.run(['record'], `${input.join('')}${events(1)}`);
      expect(ran.code).toBe(1);
      const answers = linesOf(ran.stdout).map((line) => JSON.parse(line) as Answer);
      expect(answers.map(({ error }) => error?.member)).toEqual([
        ...bad.map(([, member]) => member),
        undefined,
      ]);
      expect(answers.at(-1)?.ok).toBe(true);
      expect((await own.verify(undefined, own.auditor)).verdict).toBe('ok');
      expect((await own.types()).filter((type) => !type.startsWith('log.'))).toEqual([
        'tool_execution',
      ]);
    });

    test('row 15: the folders and files are the owner’s alone', () => {
      const modes = [book.log, book.keys, join(book.log, 'segments')].map(
        (path) => statSync(path).mode & 0o777,
      );
      expect(modes).toEqual([0o700, 0o700, 0o700]);
      const files = [
        join(book.keys, 'signing-key.pem'),
        join(book.log, 'checkpoint'),
        join(book.log, segmentPaths(untouched)[0]!),
      ];
      for (const path of files) expect(statSync(path).mode & 0o077, path).toBe(0);
    });

    test.skipIf(!isRoot)(
      'row 15: another local user reads nothing, writes nothing and is not let in',
      async () => {
        const own = await Book.open(desk);
        const writer = desk.start(['record', '--log', own.log, '--keys', own.keys], {
          env: { TMPDIR: desk.root },
        });
        try {
          writer.stdin.write(events(1));
          await once(writer.stdout, 'data');
          chmodSync(desk.root, 0o755);
          const before = linesIn(own);
          const verify = await own.run(['audit', 'verify'], '', { user: stranger });
          expect(verify.code).toBe(3);
          expect(verify.stderr).toMatch(/EACCES|permission/);
          const record = await own.run(['record'], events(1), {
            user: stranger,
            env: { TMPDIR: desk.root },
          });
          expect([record.code, record.stdout]).toEqual([1, '']);
          expect(record.stderr).not.toBe('');
          expect(linesIn(own)).toEqual(before);
        } finally {
          writer.stdin.end();
          await once(writer, 'close');
        }
        expect((await own.types()).filter((type) => type === 'tool_execution')).toHaveLength(1);
      },
    );
  });
}

interface Answer {
  readonly ok: boolean;
  readonly event_id?: string;
  readonly error?: { readonly code: string; readonly member?: string };
}

/** Every line of a log that is being written: its other files come and go meanwhile. */
function linesIn(book: Book): string[] {
  const folder = join(book.log, 'segments');
  return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
}

function changedLine(record: StoredRecord): string {
  return record.line.toString().replace('"u', '"v');
}

/** Each of these is in the book once. */
async function expectAll(book: Book, ids: readonly string[]): Promise<void> {
  const counts = new Map<string, number>();
  for (const path of segmentPaths(await book.folder())) {
    for (const [, id] of readFileSync(join(book.log, path), 'utf8').matchAll(
      /"event_id":"([^"]+)"/g,
    ))
      counts.set(id!, (counts.get(id!) ?? 0) + 1);
  }
  expect(ids.filter((id) => counts.get(id) !== 1)).toEqual([]);
}
