import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { promisedBy, readRecords } from '../crash/book.js';
import { Checker } from '../crash/checker.js';
import { inspect } from '../crash/inspection.js';
import { type Load, loadCommand, startLoad } from '../crash/load.js';

/** A disk that is full, a folder that has become read-only, a log that is deleted, each under a running writer. */

const isRoot = process.getuid?.() === 0;
if (!isRoot)
  console.warn('faults: not root, so nothing can be mounted: the disk tests are SKIPPED');

const minute = 60_000;
let checker: Checker;
beforeAll(() => {
  checker = new Checker();
});
afterAll(() => checker.end());

interface Place {
  readonly root: string;
  readonly log: string;
  readonly keys: string;
}

function mount(args: readonly string[], at: string): void {
  const { status, stderr } = spawnSync('mount', [...args, at], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${args.join(' ')} ${at}: ${stderr}`);
  onTestFinished(() => {
    spawnSync('umount', ['-l', at]);
  });
}

function makePlace(): Place {
  const root = mkdtempSync(join(tmpdir(), 'gatebook-disk-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 20 }));
  return { root, log: join(root, 'disk', 'log'), keys: join(root, 'disk', 'keys') };
}

const pace = ['--in-flight', '1', '--pause-ms', '2', '--checkpoint-ms', '20'];

/** A writer that has acknowledged something and goes on until it is told to end. */
async function startWriter(place: Place, args: readonly string[] = []): Promise<Load> {
  const load = startLoad(loadCommand(place, [...pace, ...args]));
  await load.until((line) => /^\d+ \d+ evt_/.test(line));
  return load;
}

/** So many more answers of a kind. */
async function more(load: Load, kind: RegExp, count: number): Promise<void> {
  let left = count;
  const from = load.lines.length;
  await load.until((line) => load.lines.length > from && kind.test(line) && --left <= 0);
}

const refused = /^\d+ refused write_failed /;
const taken = /^\d+ \d+ evt_/;

test.skipIf(!isRoot)(
  'a full disk: told to the caller and in the book; with room again the log goes on, and closes',
  async () => {
    const place = makePlace();
    mkdirSync(join(place.root, 'disk'));
    mount(['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs'], join(place.root, 'disk'));
    const load = await startWriter(place, ['--records', '900']);
    const ballast = join(place.root, 'disk', 'ballast');
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4k']);
    await more(load, refused, 5);
    const told = readRecords(place.log).filter(
      ({ event_type, details }) =>
        event_type === 'log.recovered' && details?.['error'] === 'ENOSPC',
    );
    expect(told.length, 'the book says that the disk was full').toBeGreaterThan(0);
    rmSync(ballast);
    await more(load, taken, 20);
    await load.ended;
    expect(load.lines.at(-1)).toBe('closed');
    expect(promisedBy(load.lines).refused.size).toBeGreaterThan(4);
    expect(await inspect(place, load.lines, checker)).toEqual([]);
  },
  2 * minute,
);

test.skipIf(!isRoot)(
  'a disk that stays full: the log still closes cleanly',
  async () => {
    const place = makePlace();
    mkdirSync(join(place.root, 'disk'));
    mount(['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs'], join(place.root, 'disk'));
    const load = await startWriter(place);
    spawnSync('dd', ['if=/dev/zero', `of=${join(place.root, 'disk', 'ballast')}`, 'bs=4k']);
    await load.ended;
    expect(load.lines.at(-1)).toBe('closed');
    const last = readRecords(place.log).at(-1);
    expect(last?.event_type).toBe('log.closed');
    const { before } = await checker.check(place.log, place.keys, false);
    expect([before.public.verdict, before.auditor.verdict]).toEqual(['ok', 'ok']);
    expect(before.public.pending).toBe(0);
  },
  2 * minute,
);

test.skipIf(!isRoot)(
  'a folder that becomes read-only: appends fail once a new file is needed, and go on when it can be written',
  async () => {
    const place = makePlace();
    const load = await startWriter(place, ['--segment-bytes', '4096', '--records', '400']);
    const note = readFileSync(join(place.log, 'checkpoint'));
    expect(note.length).toBeGreaterThan(0);
    // Made read-only elsewhere, so that it is that from the moment it lies there.
    const shadow = join(place.root, 'read-only');
    mkdirSync(shadow);
    mount(['--bind', place.log], shadow);
    mount(['-o', 'remount,bind,ro'], shadow);
    mount(['--bind', shadow], place.log);
    await more(load, /^\d+ refused (write|log)_failed .*EROFS/, 3);
    spawnSync('umount', ['-l', place.log]);
    await more(load, taken, 5);
    await load.ended;
    expect(load.lines.at(-1)).toBe('closed');
    expect(await inspect(place, load.lines, checker)).toEqual([]);
  },
  2 * minute,
);

/** Out of the writer's way first, which would fill it again while it is deleted. */
function remove(root: string, folder: string): void {
  renameSync(folder, join(root, 'gone'));
  rmSync(join(root, 'gone'), { recursive: true, maxRetries: 20 });
}

const losses: [string, (place: Place) => void][] = [
  ['its log folder deleted', ({ root, log }) => remove(root, log)],
  ['its keys folder deleted', ({ root, keys }) => remove(root, keys)],
  ['its segment deleted', ({ log }) => rmSync(join(log, 'segments', `${'0'.repeat(20)}.jsonl`))],
  [
    'its segment replaced',
    ({ log }) => {
      const file = join(log, 'segments', `${'0'.repeat(20)}.jsonl`);
      const bytes = readFileSync(file);
      rmSync(file);
      writeFileSync(file, bytes, { mode: 0o600 });
    },
  ],
];

test.each(losses)(
  'a writer with %s says so and acknowledges nothing more',
  async (_, lose) => {
    const place = makePlace();
    const load = await startWriter(place);
    lose(place);
    await load.until((line) => / refused /.test(line));
    await load.ended;
    const firstRefusal = load.lines.findIndex((line) => / refused /.test(line));
    expect(load.lines[firstRefusal]).toMatch(
      /refused log_failed .*(deleted or replaced|replaced or deleted|somebody else)/,
    );
    expect(load.lines.slice(firstRefusal).filter((line) => taken.test(line))).toEqual([]);
  },
  2 * minute,
);
