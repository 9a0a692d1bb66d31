import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  drop,
  type Folder,
  file,
  pathsIn,
  put,
  readFolder,
  rename,
  WorkFolder,
} from '../attacks/folder.js';
import { draftsOf, forge, type StolenKeys, stealKeys } from '../attacks/forger.js';
import type { StoredLog } from '../attacks/logs.js';
import { freshSigner, parseCheckpoint, signatureLine, signedCheckpoint } from '../attacks/notes.js';
import { Random, seedOfRun } from '../attacks/random.js';
import { endsEpoch, readRecords } from '../attacks/records.js';
import { askGatebook, SecondVerifier } from '../attacks/verifiers.js';
import { type Bench, openBench, run } from '../cli/gatebook.js';
import { split } from './cosignatures.js';
import { startWitness, type WitnessProcess } from './witness-process.js';

// Each starts many processes, and the machine may be busy.
vi.setConfig({ testTimeout: 300_000 });

/**
 * Row 4 of the guarantees and the third for a key holder: a log that was cut back, replaced by an older copy, or forked,
 * with everything signed anew, is told by whoever holds one later checkpoint, one cosigned checkpoint that the witness
 * has, or the anchor file.
 */

const seed = seedOfRun();
const random = new Random(seed);
const cuts = process.env['GATEBOOK_CONFORMANCE'] === 'full' ? 50 : 2;

let bench: Bench;
let witness: WitnessProcess;
let log: StoredLog;
let keys: StolenKeys;
let work: WorkFolder;
let older: string;
let forked: string;
/** The options that bring each kind of evidence. */
let evidence: Readonly<Record<string, readonly string[]>>;

const event = (at: number): object => ({
  event_type: 'tool_execution',
  action: { tool: `tool-${at}`, resource: 'x'.repeat(random.below(200)) },
});

beforeAll(async () => {
  console.log(`evidence: seed ${seed} (GATEBOOK_ATTACK_SEED=${seed} gives the same choice)`);
  bench = await openBench();
  await bench.run(['init']);
  rmSync(join(bench.keys, 'initial-hmac-key'));
  const record = async (count: number): Promise<void> => {
    const input = Array.from({ length: count }, (_, i) => `${JSON.stringify(event(i))}\n`).join('');
    const ran = await bench.run(['record', '--max-size-mb', '0.02'], { input });
    if (ran.code !== 0) throw new Error(ran.stderr);
  };
  await record(70);
  older = join(bench.folder, 'older');
  forked = join(bench.folder, 'forked');
  for (const at of [older, forked]) {
    // Not cpSync, which from Node 22 on makes folders that are open to other users.
    await cp(bench.log, join(at, 'log'), { recursive: true });
    await cp(bench.keys, join(at, 'keys'), { recursive: true });
  }
  await record(110);
  witness = await startWitness({
    state: join(bench.folder, 'witness'),
    name: 'witness.example/w1',
    logKeys: [join(bench.keys, 'public-key')],
  });
  const anchors = join(bench.folder, 'anchors.jsonl');
  const held = join(bench.folder, 'held');
  writeFileSync(held, (await bench.run(['audit', 'checkpoint'])).stdout);
  const sent = await bench.run([
    ...['audit', 'cosign', '--witness', witness.option, '--anchor-file', anchors],
  ]);
  if (sent.code !== 0) throw new Error(sent.stdout + sent.stderr);
  evidence = {
    'one later checkpoint': ['--checkpoint', held],
    'the cosigned checkpoint of the witness': ['--witness', witness.option],
    'the anchor file': ['--anchor', anchors],
  };
  // The fork goes on from the older copy with copies of the keys, and becomes longer than the log.
  const input = Array.from({ length: 300 }, (_, i) => `${JSON.stringify(event(i))}\n`).join('');
  const places = ['--log', join(forked, 'log'), '--keys', join(forked, 'keys')];
  const ran = await run(['record', ...places], { input });
  if (ran.code !== 0) throw new Error(ran.stderr);
  const folder = await readFolder(bench.log);
  const covered = parseCheckpoint(folder.get('checkpoint')!).size;
  log = { folder, records: readRecords(folder), covered };
  keys = await stealKeys(bench.keys);
  work = new WorkFolder(join(bench.folder, 'work'));
}, 120_000);

afterAll(async () => {
  await witness?.end('SIGKILL');
  await bench?.remove();
});

/** What a verifier with the public key says, with nothing but the options. */
async function verdictOf(dir: string, options: readonly string[]): Promise<string> {
  const key = join(bench.keys, 'public-key');
  const ran = await run([
    ...['audit', 'verify', '--json', '--log', dir, '--keys', '/nonexistent/keys', '--key', key],
    ...options,
  ]);
  const { verdict } = JSON.parse(ran.stdout) as { verdict: string };
  return `${verdict} ${ran.code}`;
}

async function verdicts(dir: string): Promise<string[]> {
  return await Promise.all(Object.values(evidence).map((options) => verdictOf(dir, options)));
}

describe('a cosigned checkpoint in the folder, to both verifiers,', () => {
  let second: SecondVerifier;
  let size: number;
  let path: string;
  let note: string;

  beforeAll(() => {
    second = new SecondVerifier();
    path = pathsIn(log.folder, 'cosigned').findLast((name) => /\/\d{20}$/.test(name))!;
    note = file(log.folder, path).toString();
    size = Number(path.slice('cosigned/'.length));
  });

  afterAll(() => second.close());

  async function expectBoth(name: string, folder: Folder, verdict: string): Promise<void> {
    await work.become(folder);
    const brought = { keys: [join(bench.keys, 'public-key')] };
    const [ours, theirs] = [
      await askGatebook(work.dir, brought),
      await second.ask(work.dir, brought),
    ];
    expect([name, ours.verdict, theirs.verdict, ours.text]).toEqual([
      name,
      verdict,
      verdict,
      expect.any(String),
    ]);
  }

  test('counts like the others: what is not the log’s is tampering, what is more is a cut log', async () => {
    const { text, lines } = split(note);
    const root = text.split('\n')[2]!;
    const stranger = freshSigner(keys.signer.name);
    const foreign = signatureLine(text, stranger);
    const otherRoot = signedCheckpoint(
      { origin: keys.signer.name, size, root: Buffer.alloc(32, 7) },
      keys.signer,
    );
    const at = (other: number): string => `cosigned/${String(other).padStart(20, '0')}`;
    const cases: Readonly<Record<string, readonly [Folder, string]>> = {
      untouched: [log.folder, 'ok'],
      gone: [drop(log.folder, path), 'ok'],
      'its root changed': [
        put(log.folder, path, note.replace(root, Buffer.alloc(32, 1).toString('base64'))),
        'tampered',
      ],
      'another root, signed by the log': [put(log.folder, path, otherRoot), 'tampered'],
      'the log’s line gone': [
        put(log.folder, path, `${text}\n${lines.slice(1).join('')}`),
        'tampered',
      ],
      'signed by a stranger': [put(log.folder, path, `${text}\n${foreign}`), 'tampered'],
      'the witness’s line changed': [put(log.folder, path, `${text}\n${lines[0]}${foreign}`), 'ok'],
      'under another size': [rename(log.folder, path, at(size - 1)), 'tampered'],
      'under a name of 19 digits': [rename(log.folder, path, `cosigned/${'1'.repeat(19)}`), 'ok'],
      'no note': [put(log.folder, path, 'rubbish'), 'tampered'],
      'larger than a note may be': [put(log.folder, path, 'x'.repeat(131_073)), 'tampered'],
      'of more records than there are, by the log': [
        put(
          log.folder,
          at(size + 5),
          signedCheckpoint(
            { origin: keys.signer.name, size: size + 5, root: Buffer.alloc(32, 7) },
            keys.signer,
          ),
        ),
        'truncated',
      ],
      'unfinished beside it': [put(log.folder, `${path}.tmp`, 'rubbish'), 'ok'],
    };
    for (const [name, [folder, verdict]] of Object.entries(cases)) {
      await expectBoth(name, folder, verdict);
    }
  });
});

describe('against whoever holds evidence', () => {
  test('the log itself holds', async () => {
    expect(await verdicts(bench.log)).toEqual(['ok 0', 'ok 0', 'ok 0']);
  });

  test(`a key holder who cuts the log back to any of ${cuts} earlier sizes is found`, async () => {
    const sizes = random.sample(log.records.map(({ seq }) => seq).slice(2, -1), cuts);
    const drafts = draftsOf(log);
    for (const size of sizes) {
      await work.become(forge(log, drafts.slice(0, size), keys));
      const [alone, found] = await Promise.all([verdictOf(work.dir, []), verdicts(work.dir)]);
      expect([size, alone]).toEqual([size, 'ok 0']);
      expect([size, ...found]).toEqual([size, 'rolled_back 1', 'rolled_back 1', 'rolled_back 1']);
    }
  }, 600_000);

  test('an older copy of the folder in its place is found', async () => {
    const dir = join(older, 'log');
    expect(await verdictOf(dir, [])).toBe('ok 0');
    expect(await verdicts(dir)).toEqual(['rolled_back 1', 'rolled_back 1', 'rolled_back 1']);
  });

  test('a fork that is longer than the log is found', async () => {
    const dir = join(forked, 'log');
    expect(await verdictOf(dir, [])).toBe('ok 0');
    expect(await verdicts(dir)).toEqual(['tampered 1', 'tampered 1', 'tampered 1']);
  });

  test('a rewritten and newly signed record is found', async () => {
    const drafts = draftsOf(log);
    const past = log.records.filter(({ seq, type }) => seq > 0 && !endsEpoch(type));
    const { seq } = random.pick(past);
    const changed = drafts.map((draft, at) =>
      at === seq
        ? { members: { ...draft.members, emitter: 'pid:1' }, startsSegment: draft.startsSegment }
        : draft,
    );
    await work.become(forge(log, changed, keys));
    expect(await verdictOf(work.dir, [])).toBe('ok 0');
    expect(await verdicts(work.dir)).toEqual(['tampered 1', 'tampered 1', 'tampered 1']);
  });

  test('the witness refuses to cosign the fork or the older copy', async () => {
    for (const [at, says] of [
      [forked, 'answered 422'],
      [older, 'cut off'],
    ] as const) {
      const places = ['--log', join(at, 'log'), '--keys', join(at, 'keys')];
      const ran = await run(['audit', 'cosign', ...places, '--witness', witness.option]);
      expect([ran.code, ran.stdout]).toEqual([1, expect.stringContaining(says)]);
    }
    expect(witness.stderr()).toContain('refused (422)');
  });

  test('a policy or an age that is not met is unverifiable, never ok', async () => {
    const policy = join(bench.folder, 'policy');
    writeFileSync(policy, `witness w ${witness.key}\nquorum w\n`);
    expect(await verdictOf(bench.log, ['--policy', policy, '--max-age', '10m'])).toBe('ok 0');
    expect(await verdictOf(join(older, 'log'), ['--policy', policy])).toBe('unverifiable 3');
    expect(await verdictOf(bench.log, ['--max-age', '10m'])).toBe('unverifiable 3');
    expect(await verdictOf(bench.log, ['--policy', policy, '--max-age', '1ms'])).toBe(
      'unverifiable 3',
    );
    const { 'the anchor file': anchored = [] } = evidence;
    expect(await verdictOf(bench.log, [...anchored, '--max-age', '10m'])).toBe('ok 0');
    expect(await verdictOf(bench.log, [...anchored, '--max-age', '1ms'])).toBe('unverifiable 3');
    writeFileSync(
      policy,
      `log ${readFileSync(join(bench.keys, 'public-key'), 'utf8')}quorum none\n`,
    );
    expect(await verdictOf(bench.log, ['--policy', policy])).toBe('ok 0');
    expect(await verdictOf(bench.log, ['--policy', policy, '--max-age', '10m'])).toBe(
      'unverifiable 3',
    );
  });

  test('records behind the newest cosigned checkpoint make --strict exit 3 under a policy', async () => {
    const policy = join(bench.folder, 'strict-policy');
    writeFileSync(policy, `witness w ${witness.key}\nquorum w\n`);
    await bench.record([event(1)]);
    expect(await verdictOf(bench.log, ['--strict'])).toBe('ok 0');
    expect(await verdictOf(bench.log, ['--policy', policy])).toBe('ok 0');
    expect(await verdictOf(bench.log, ['--policy', policy, '--strict'])).toBe('ok 3');
  });
});
