import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, run } from '../cli/gatebook.js';
import type { Attack, Brought, Expected } from './attack.js';
import { drop, type Folder, file, pathsIn, put, readFolder, segmentPaths } from './folder.js';
import { checkNames, Gauntlet } from './gauntlet.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';

/** Of many alike the first and one in the middle, in the whole run all. */
function some<T>(items: readonly T[]): readonly T[] {
  return wholeRun ? items : items.filter((_, i) => i === 0 || i === items.length >> 1);
}

/** Rows 5, 6 and 13: a log that deletes its old segments, and what is done to it. */

interface Deleted {
  /** Before anything was deleted, and after two rounds of it. */
  readonly whole: Folder;
  readonly pruned: Folder;
  readonly publicKey: string;
  /** What signed before the key was changed. */
  readonly olderKey: string;
  readonly hmacKey: string;
  /** A checkpoint kept from before. */
  readonly held: string;
}

const events = (count: number, user: string): string =>
  Array.from({ length: count }, (_, i) => {
    const actor = { user_id: `${user}-${i % 5}` };
    return `${JSON.stringify({ event_type: 'tool_execution', actor, action: { tool: 'echo' }, details: { i } })}\n`;
  }).join('');

function must(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`exit ${ran.code}: ${ran.stdout}${ran.stderr}`);
  return ran;
}

async function makeDeleted(dir: string): Promise<Deleted> {
  const places = ['--log', join(dir, 'log'), '--keys', join(dir, 'keys')];
  const record = async (count: number, user: string): Promise<Ran> =>
    must(await run(['record', '--max-size-mb', '0.03', ...places], { input: events(count, user) }));
  const prune = async (...args: string[]): Promise<Ran> =>
    must(await run(['audit', 'prune', ...places, ...args]));
  must(await run(['init', ...places]));
  const hmacKey = join(dir, 'auditor-key');
  await rename(join(dir, 'keys', 'initial-hmac-key'), hmacKey);
  await record(350, 'ann');
  const olderKey = join(dir, 'older-key');
  await writeFile(olderKey, await readFile(join(dir, 'keys', 'public-key')));
  must(await run(['keys', 'rotate', ...places]));
  await record(350, 'ann');
  const held = join(dir, 'held');
  await writeFile(held, await readFile(join(dir, 'log', 'checkpoint')));
  const whole = await readFolder(join(dir, 'log'));
  const dry = await prune('--dry-run', '--max-records', '350');
  expect(dry.stdout).toMatch(
    /^0{20}\.jsonl {2}records 0 to \d+ {2}records\n[\s\S]*would be deleted\n$/,
  );
  expect((await readFolder(join(dir, 'log'))).has(segmentPaths(whole)[0]!)).toBe(true);
  // What was only tried is not in force.
  expect((await prune()).stdout).toBe('0 segments deleted\n');
  expect((await prune('--max-records', '350')).stdout).toMatch(/[1-9]\d* segments? deleted\n$/);
  await record(500, 'bob');
  await pause(1_500);
  // By age, of which there is little here.
  expect((await prune('--retention-days', '0.00001')).stdout).toMatch(/age\n[\s\S]*deleted\n$/);
  await record(100, 'cleo');
  const pruned = await readFolder(join(dir, 'log'));
  return { whole, pruned, publicKey: join(dir, 'keys', 'public-key'), olderKey, hmacKey, held };
}

/** The checkpoint that ends with the record of the new key, which was deleted but for that record. */
function linkOf(pruned: Folder): string {
  const lines = pathsIn(pruned, 'kept').flatMap((path) =>
    file(pruned, path).toString().split('\n').slice(0, -1),
  );
  const records = lines.map((line) => JSON.parse(line) as { event_type: string; seq: number });
  const { seq } = records.find(({ event_type: type }) => type === 'log.key_rotated')!;
  return `checkpoints/${String(seq + 1).padStart(20, '0')}`;
}

function attacksOn(deleted: Deleted): Attack[] {
  const { whole, pruned, publicKey, olderKey, hmacKey, held } = deleted;
  const levels: readonly (readonly [string, Brought])[] = [
    ['public', { keys: [olderKey] }],
    ['auditor', { keys: [publicKey], hmacKey }],
  ];
  const ok: Expected = { verdict: 'ok', pending: 0 };
  const tampered: Expected = { verdict: 'tampered' };
  const missing: Expected = { verdict: 'missing' };
  const cases: [string, Folder, Expected, Partial<Brought>?][] = [
    ['nothing', pruned, ok],
    ['nothing, held evidence of before', pruned, ok, { held: [held] }],
    ['nothing, a short retention asked for', pruned, ok, { minRetention: '0s' }],
    ['nothing, more retention asked for', pruned, missing, { minRetention: '1d' }],
    ['all kept lines gone', drop(pruned, ...pathsIn(pruned, 'kept')), missing],
    ['all tiles gone', drop(pruned, ...pathsIn(pruned, 'tile')), tampered],
    ['an unknown file among the kept', put(pruned, 'kept/notes', 'x'), ok],
    ['nothing, either key of the history', pruned, ok, { keys: [publicKey] }],
    ['nothing, both keys of the history', pruned, ok, { keys: [olderKey, publicKey] }],
    // For the older key nothing signed covers the deletions then.
    ['the link of the keys gone', drop(pruned, linkOf(pruned)), missing, { keys: [olderKey] }],
    [
      'the link of the keys gone, the newer key',
      drop(pruned, linkOf(pruned)),
      tampered,
      { keys: [publicKey] },
    ],
  ];
  const remaining = segmentPaths(pruned);
  for (const path of some(remaining.slice(0, -1))) {
    cases.push([`${path} gone too`, drop(pruned, path), missing]);
  }
  cases.push(['all but the last gone', drop(pruned, ...remaining.slice(0, -1)), missing]);
  for (const path of some(pathsIn(pruned, 'kept'))) {
    const bytes = file(pruned, path);
    const lines = bytes.toString().split('\n').slice(0, -1);
    const text = (kept: readonly string[]): string => kept.map((line) => `${line}\n`).join('');
    const name = path.slice('kept/'.length);
    const tally = `segments/${name.replace('jsonl', 'tally')}`;
    const changed = Buffer.from(bytes);
    changed[Math.floor(bytes.length / 2)]! ^= 1;
    const original = `segments/${name}`;
    if (pruned.has(original)) {
      // The log was closed before it recorded this deletion: nothing is deleted yet, and the next opening goes on.
      cases.push([`${path} gone, its segment there`, drop(pruned, path), ok]);
      cases.push([`${path} changed, its segment there`, put(pruned, path, changed), ok]);
      continue;
    }
    cases.push(
      [`${path} gone`, drop(pruned, path), missing],
      [`${path} emptied`, put(pruned, path, ''), tampered],
      [`${path} a byte changed`, put(pruned, path, changed), tampered],
      [`${path} its first line gone`, put(pruned, path, text(lines.slice(1))), tampered],
      [`${path} its last line gone`, put(pruned, path, text(lines.slice(0, -1))), tampered],
      [`${path} a line twice`, put(pruned, path, text([lines[0]!, ...lines])), tampered],
      [`${path} without its newline`, put(pruned, path, bytes.subarray(0, -1)), tampered],
      [`${tally} gone`, drop(pruned, tally), tampered],
      [`${tally} a line gone`, put(pruned, tally, file(pruned, tally).subarray(20)), tampered],
    );
    const back = whole.get(original);
    // The newest segment of that time was written on before it was deleted.
    if (back === undefined || original === segmentPaths(whole).at(-1)) continue;
    const spoiled = Buffer.from(back);
    spoiled[200]! ^= 1;
    cases.push(
      [`${original} put back`, put(pruned, original, back), ok],
      [`${original} put back, changed`, put(pruned, original, spoiled), tampered],
      [
        `${original} put back, cut`,
        put(pruned, original, back.subarray(0, back.length / 2)),
        tampered,
      ],
      [`${original} whole in the place of its kept lines`, put(pruned, path, back), tampered],
    );
  }
  for (const path of pathsIn(pruned, 'tile/0')
    .filter((tile) => !tile.includes('.p/'))
    .slice(0, 2)) {
    const bytes = file(pruned, path);
    const other = Buffer.from(bytes);
    other[40]! ^= 1;
    cases.push(
      [`${path} gone`, drop(pruned, path), tampered],
      [`${path} zeroed`, put(pruned, path, Buffer.alloc(bytes.length)), tampered],
      [`${path} changed`, put(pruned, path, other), tampered],
      [`${path} cut`, put(pruned, path, bytes.subarray(0, 96)), tampered],
    );
  }
  return levels.flatMap(([level, brought], of) =>
    cases
      .filter((_, i) => wholeRun || i % 3 === of)
      .map(
        ([name, folder, expected, more]): Attack => ({
          name: `${level}: ${name}`,
          folder: () => folder,
          brought: { ...brought, ...more },
          expected,
        }),
      ),
  );
}

describe('a log that deletes its old segments', () => {
  let dir: string;
  let gauntlet: Gauntlet | undefined;
  let deleted: Deleted;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatebook-retention-'));
    deleted = await makeDeleted(dir);
    gauntlet = await Gauntlet.open(dir);
  }, 300_000);
  afterAll(async () => {
    gauntlet?.close();
    await rm(dir, { recursive: true, force: true });
  });

  it('is judged alike by both verifiers, untouched and attacked', {
    timeout: 900_000,
  }, async () => {
    const attacks = attacksOn(deleted);
    checkNames(attacks);
    const wrong = await gauntlet!.run(attacks);
    process.stdout.write(`retention: ${gauntlet!.summary()}\n`);
    expect(wrong, wrong.join('\n')).toHaveLength(0);
  });

  it('tells what it deleted, by which reason and when, and how it stands', async () => {
    const places = ['--log', join(dir, 'log'), '--keys', join(dir, 'keys')];
    const text = await run(['audit', 'verify', ...places]);
    expect(text.stdout).toMatch(
      /^ok: [\s\S]*pruned: records 0 to [\d,]+, by records, last at 20\S+Z\n[\s\S]*by age/,
    );
    const report = JSON.parse((await run(['audit', 'verify', '--json', ...places])).stdout) as {
      pruned: { range: number[]; reason: string }[];
    };
    expect(report.pruned.map(({ reason }) => reason)).toEqual(['records', 'age']);
    const status = JSON.parse((await run(['audit', 'status', '--json', ...places])).stdout) as {
      retention: { policy: object; pruned: number[][] };
      disk_bytes: number;
    };
    expect(status.retention.policy).toEqual({ delete: 'oldest', retention_days: 0.00001 });
    expect(status.retention.pruned).toHaveLength(1);
    expect(status.disk_bytes).toBeGreaterThan(10_000);
    const own = await run(['audit', '--type', 'log.sealed', '--format', 'json', ...places]);
    expect(own.code).toBe(0);
    expect(own.stdout.split('\n')[0]).toContain('"first_seq":0,');
    const proof = join(dir, 'absent.proof');
    const asked = ['--segment', '0', '--dimension', 'actor', '--value', 'eve'];
    expect((await run(['audit', 'tally', ...asked, '--prove', '-o', proof, ...places])).code).toBe(
      0,
    );
    const checked = await run(['audit', 'check-proof', proof, '--key', deleted.publicKey]);
    expect(checked.stdout).toContain('0 records have actor "eve"');
  }, 120_000);
});
