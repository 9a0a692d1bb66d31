import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { houseRoot } from '../house/root.js';
import { startWitness, type WitnessProcess } from '../witness/witness-process.js';
import { buildGoPrograms, installGo, runCheck } from './go-programs.js';

const gatebook = join(houseRoot, 'packages/gatebook/bin/gatebook.js');
const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const problem = installGo();
const absent = problem !== undefined && process.env['CI'] !== 'true';
if (absent) {
  console.error(`\n*** SKIPPED: Go cannot be installed here, so no third party looks at the log.`);
  console.error(`*** ${problem}\n`);
}

// Where all tests are skipped no hook runs that would remove the folder, so none is made.
const folder = absent ? 'absent' : mkdtempSync(join(tmpdir(), 'gatebook-third-party-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Place {
  log: string;
  keys: string;
}

function place(name: string): Place {
  return { log: join(folder, name, 'log'), keys: join(folder, name, 'keys') };
}

function cli(at: Place, args: string[], input = ''): string {
  const run = spawnSync(process.execPath, [gatebook, ...args, '--log', at.log, '--keys', at.keys], {
    encoding: 'utf8',
    input,
    timeout: 100_000,
    maxBuffer: 256 * 1024 * 1024,
  });
  if (run.status !== 0) throw new Error(`gatebook ${args.join(' ')}: ${run.status}: ${run.stderr}`);
  return run.stdout;
}

// Lengths and scripts vary, so that a wrong cut of a line would show in its leaf.
function events(count: number): string {
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      event_type: 'tool_execution',
      action: { tool: `tool-${i % 7}`, resource: `${'é𝄞'.repeat(i % 40)}/${i}` },
    }),
  );
  return `${lines.join('\n')}\n`;
}

/** A log of two sittings, with the checkpoint between them and proofs of some of its records. */
function writeLog(at: Place, first: number, second: number): { older: string; proofs: string[] } {
  const older = join(at.log, '..', 'older-checkpoint');
  cli(at, ['record'], events(first));
  cli(at, ['audit', 'checkpoint']);
  cpSync(join(at.log, 'checkpoint'), older);
  cli(at, ['record'], events(second));
  cli(at, ['audit', 'checkpoint']);
  const proofs = [0, 1, first, first + second].map((seq) => {
    const file = join(at.log, '..', `record-${seq}.tlog-proof`);
    cli(at, ['audit', 'prove', '--seq', String(seq), '-o', file]);
    return file;
  });
  return { older, proofs };
}

describe.skipIf(absent)("Go's sumdb/tlog and sumdb/note", () => {
  const main = place('main');
  const key = join(main.keys, 'public-key');
  const count = full ? 70_000 : 700;
  let made: { older: string; proofs: string[] };

  beforeAll(() => {
    expect(problem, 'Go and golang.org/x/mod must be at hand').toBeUndefined();
    buildGoPrograms();
    made = writeLog(main, 300, count);
  }, 300_000);

  test('give the known answers that are checked in, byte for byte', () => {
    const out = join(folder, 'vectors');
    const run = spawnSync(join(houseRoot, 'conformance/third-party/make-vectors'), [out], {
      encoding: 'utf8',
    });
    expect(run.status, run.stderr).toBe(0);
    for (const name of ['tlog.json', 'note.json']) {
      const kept = readFileSync(join(houseRoot, 'packages/audit/vectors', name), 'utf8');
      expect(readFileSync(join(out, name), 'utf8') === kept, name).toBe(true);
    }
  });

  test('agree with the checkpoints, root, tiles and proofs of a log', () => {
    const report = runCheck(main.log, key, { older: [made.older], proofs: made.proofs });
    expect(report.disagreements).toEqual([]);
    expect(report.size).toBeGreaterThan(300 + count);
    expect(report.records).toBe(report.size);
    expect(report.hashes).toBeGreaterThanOrEqual(2 * report.size - 64);
    expect(report.tiles).toBeGreaterThanOrEqual(Math.ceil(report.size / 256));
    expect(report.inclusion).toBe(Math.min(report.size, 1000));
    expect(report.consistency).toBeGreaterThanOrEqual(report.inclusion + 1);
    expect(report.checkpoints).toBeGreaterThanOrEqual(1);
    expect(report.proofs).toBe(made.proofs.length);
  });

  test('agree with a log whose writer is still open', async () => {
    const at = place('open');
    const args = [gatebook, 'record', '--log', at.log, '--keys', at.keys];
    const writer = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      writer.stdin.write(events(300));
      let acknowledged = 0;
      for await (const _ of createInterface({ input: writer.stdout })) {
        acknowledged += 1;
        if (acknowledged === 300) break;
      }
      await expect
        .poll(() => runCheck(at.log, join(at.keys, 'public-key')), {
          timeout: 20_000,
          interval: 500,
        })
        .toMatchObject({ ok: true, size: 301, records: 301 });
    } finally {
      const exit = once(writer, 'exit');
      writer.stdin.end();
      await exit;
    }
    expect(runCheck(at.log, join(at.keys, 'public-key')).disagreements).toEqual([]);
  });

  describe('agree over HTTP and with a witness', () => {
    let witness: WitnessProcess;
    let server: ReturnType<typeof spawn>;
    let url = '';
    const witnessKey = join(folder, 'witness', 'public-key');

    beforeAll(async () => {
      const logKeys = [key];
      const name = 'witness.example/w1';
      witness = await startWitness({ state: join(folder, 'witness'), name, logKeys });
      cli(main, ['audit', 'cosign', '--witness', witness.option]);
      cli(main, ['record', '--witness', witness.option], events(600));
      const args = [gatebook, 'audit', 'serve', '--log', main.log, '--http', '127.0.0.1:0'];
      server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      for await (const line of createInterface({ input: server.stdout! })) {
        url = /^listening {3}(\S+)$/.exec(line)?.[1] ?? '';
        break;
      }
    }, 120_000);

    afterAll(async () => {
      server?.kill('SIGKILL');
      await witness?.end('SIGKILL');
    });

    test('on every cosigned checkpoint', () => {
      const report = runCheck(main.log, key, { witness: witnessKey });
      expect(report.disagreements).toEqual([]);
      expect(report.cosigned).toBeGreaterThanOrEqual(2);
    });

    test('on the checkpoint, tiles and entries that are served', () => {
      const report = runCheck(main.log, key, { url });
      expect(report.disagreements).toEqual([]);
      expect(report.entries).toBe(report.size);
      expect(report.tiles).toBeGreaterThanOrEqual(Math.ceil(report.size / 256));
      expect(report.hashes).toBeGreaterThanOrEqual(2 * report.size - 64);
    });

    test('and not when a cosignature is of another witness', async () => {
      const other = join(folder, 'other-witness');
      const name = 'witness.example/w1';
      await (await startWitness({ state: other, name, logKeys: [key] })).end();
      const report = runCheck(main.log, key, { witness: join(other, 'public-key') });
      expect(report.disagreements[0]).toMatch(/cosignature/);
    });
  });

  describe('disagree, so that their agreement means something, when', () => {
    const changed = place('changed');
    // Every case begins with an untouched copy.
    const copy = () => {
      rmSync(join(folder, 'changed'), { recursive: true, force: true });
      cpSync(join(folder, 'main'), join(folder, 'changed'), { recursive: true });
      return changed.log;
    };
    const flip = (file: string, at: number) => {
      const bytes = readFileSync(file);
      bytes[at] = bytes[at]! ^ 1;
      writeFileSync(file, bytes);
    };

    test('a byte of a line is changed', () => {
      const log = copy();
      const segment = readdirSync(join(log, 'segments')).sort()[0]!;
      const file = join(log, 'segments', segment);
      flip(file, readFileSync(file).indexOf('tool-3') + 5);
      expect(runCheck(log, key).disagreements[0]).toMatch(/the root over \d+ lines/);
    });

    test('a byte of a tile is changed', () => {
      const log = copy();
      flip(join(log, 'tile/0/000'), 33);
      expect(runCheck(log, key).disagreements[0]).toMatch(/^tiles: /);
    });

    test('a checkpoint is edited', () => {
      const log = copy();
      const file = join(log, 'checkpoint');
      writeFileSync(file, readFileSync(file, 'utf8').replace(/\n(\d+)\n/, '\n1$1\n'));
      expect(runCheck(log, key).disagreements[0]).toMatch(/invalid signature/);
    });

    test('a proof is of another record', () => {
      const file = join(folder, 'other.tlog-proof');
      const text = readFileSync(made.proofs[1]!, 'utf8');
      writeFileSync(file, text.replace('\nindex 1\n', '\nindex 2\n'));
      expect(runCheck(main.log, key, { proofs: [file] }).disagreements[0]).toMatch(
        /invalid transparency proof/,
      );
    });

    test('the checkpoint brought is of another log', () => {
      const other = place('other');
      cli(other, ['record'], events(3));
      cli(other, ['audit', 'checkpoint']);
      const brought = join(other.log, 'checkpoint');
      expect(runCheck(main.log, key, { older: [brought] }).ok).toBe(false);
      expect(runCheck(main.log, join(other.keys, 'public-key')).ok).toBe(false);
    });
  });
});
