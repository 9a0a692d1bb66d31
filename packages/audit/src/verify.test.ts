import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import * as net from 'node:net';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import workerThreads from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AuditError } from './errors.js';
import type { LogRecord } from './stored-record.js';
import {
  appendEvents,
  audit,
  initialKeyOf,
  numbered,
  openDirect,
  publicKeyOf,
} from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import { pretendToSync } from './testing/faults.js';
import {
  copyOf,
  type Folders,
  foldersIn,
  linesOf,
  makeTemporary,
  packageRoot,
  removeTemporary,
  segmentFiles,
  temporaryLog,
} from './testing/folders.js';
import { verifyLog } from './verify.js';
import type { VerifyReport } from './verify-report.js';

pretendToSync();

let folder: string;
/** Several segments and epochs, closed. */
let small: Folders;
/** About 40 MB in three segments. */
let big: Folders;

beforeAll(() => {
  folder = makeTemporary();
  small = foldersIn(path.join(folder, 'small'));
  const writer = openDirect(small, { segmentBytesMax: 4_096 });
  for (let n = 0; n < 20; n++) appendEvents(writer, numbered(n, 1));
  writer.close();
  big = foldersIn(path.join(folder, 'big'));
  const filler = openDirect(big, { segmentBytesMax: 20 * 1024 * 1024 });
  const text = 'x'.repeat(9_000);
  for (let n = 0; n < 9; n++) {
    const events = Array.from({ length: 500 }, (_, i) => ({
      eventType: 'test.event' as const,
      details: { number: n * 500 + i, text },
    }));
    appendEvents(filler, events);
  }
  filler.close();
});
afterAll(() => removeTemporary(folder));

function publicly(log: Folders, more: object = {}): Promise<VerifyReport> {
  return verifyLog({ dir: log.dir, publicKeys: [publicKeyOf(log)], threads: 1, ...more });
}

describe('an untouched log', () => {
  test('is ok at both levels, whole and counted', async () => {
    const lines = linesOf(small.dir);
    const last = JSON.parse(lines.at(-1)!) as LogRecord;
    const wanted = {
      verdict: 'ok',
      findings: [],
      records: lines.length,
      size: lines.length,
      pending: 0,
      segments: segmentFiles(small.dir).length,
      epochs: last.epoch + 1,
      unfinishedBytes: 0,
    };
    expect(await audit(small)).toMatchObject({ ...wanted, level: 'auditor' });
    expect(await publicly(small)).toMatchObject({ ...wanted, level: 'public' });
  });

  test('is ok at every moment of its writing', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    let writer = openDirect(log, { segmentBytesMax: 6_000, epochMs: 20_000 }, clock);
    for (let n = 0; n < 25; n++) {
      appendEvents(writer, numbered(n, 3));
      clock.pass(1_700);
      if (n % 3 === 0) writer.tick();
      if (n % 8 === 7) {
        if (n % 16 === 7) writer.close();
        writer = openDirect(log, { segmentBytesMax: 6_000, epochMs: 20_000 }, clock);
      }
      const report = await audit(log);
      expect(report.findings, `turn ${n}`).toEqual([]);
      expect(report.verdict).toBe('ok');
    }
  });

  test('is ok although an epoch ends, a segment is sealed and a checkpoint made while it is read', async () => {
    for (const move of ['epoch', 'seal', 'close'] as const) {
      const log = temporaryLog();
      const clock = new FakeClock();
      const options = { segmentBytesMax: 4_096, epochMs: 10_000 };
      let writer = openDirect(log, options, clock);
      for (let n = 0; n < 15; n++) appendEvents(writer, numbered(n, 1));
      let moved = false;
      const report = await audit(log, {
        onProgress: () => {
          if (moved) return;
          moved = true;
          if (move === 'epoch') clock.pass(10_000);
          if (move === 'close') {
            writer.close();
            writer = openDirect(log, options, clock);
          }
          for (let n = 0; n < (move === 'seal' ? 30 : 3); n++) {
            appendEvents(writer, numbered(n, 1));
          }
        },
      });
      expect(moved).toBe(true);
      expect(report.findings, move).toEqual([]);
      expect(report.verdict).toBe('ok');
    }
  });

  test('an unfinished line at the end is counted, not held against it', async () => {
    const log = copyOf(small);
    fs.appendFileSync(segmentFiles(log.dir).at(-1)!, '{"seq":');
    expect(await audit(log)).toMatchObject({ verdict: 'ok', unfinishedBytes: 7 });
  });
});

describe('threads', () => {
  test('logs below 32 MiB are read without them, however many segments they have', async () => {
    const real = workerThreads.Worker;
    let started = 0;
    class Counted extends real {
      constructor(...given: ConstructorParameters<typeof real>) {
        super(...given);
        started++;
      }
    }
    Object.assign(workerThreads, { Worker: Counted });
    syncBuiltinESMExports();
    onTestFinished(() => {
      Object.assign(workerThreads, { Worker: real });
      syncBuiltinESMExports();
    });
    expect(await audit(small, { threads: 8 })).toMatchObject({ verdict: 'ok' });
    expect(started).toBe(0);
    expect(await audit(big, { threads: 2 })).toMatchObject({ level: 'auditor' });
    expect(started).toBe(2);
  });

  test('do not take over the flags of a program given on the command line', () => {
    const index = pathToFileURL(path.join(packageRoot, 'dist', 'index.js')).href;
    const program = `import { verifyLog } from ${JSON.stringify(index)};
      const report = await verifyLog({ dir: ${JSON.stringify(big.dir)}, publicKeys: [${JSON.stringify(publicKeyOf(big))}], threads: 2 });
      console.log(report.verdict);`;
    const flags = ['--input-type=module', '-e', program];
    expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('ok\n');
  });

  test('give the same report as one thread, also of a log that was changed', async () => {
    const changes: (() => void)[] = [
      () => {},
      () => {
        const file = segmentFiles(big.dir)[1]!;
        const fd = fs.openSync(file, 'r+');
        fs.writeSync(fd, 'y', 17_000_000);
        fs.closeSync(fd);
      },
      () => fs.rmSync(segmentFiles(big.dir)[1]!),
    ];
    for (const change of changes) {
      change();
      const one = await audit(big, { threads: 1 });
      const three = await audit(big, { threads: 3 });
      expect(three).toEqual(one);
      const progress: [number, number][] = [];
      await publicly(big, {
        threads: 2,
        onProgress: (records: number, bytes: number) => progress.push([records, bytes]),
      });
      expect(progress.length).toBeGreaterThan(1);
      progress.slice(1).forEach(([records, bytes], i) => {
        expect(records).toBeGreaterThanOrEqual(progress[i]![0]);
        expect(bytes).toBeGreaterThanOrEqual(progress[i]![1]);
      });
      if (change === changes[0]) {
        expect(one).toMatchObject({ verdict: 'ok', pending: 0 });
        const size = segmentFiles(big.dir).reduce((sum, file) => sum + fs.statSync(file).size, 0);
        expect(size).toBeGreaterThan(32 * 1024 * 1024);
        expect(progress.at(-1)).toEqual([one.records, size]);
      } else expect(one.verdict).not.toBe('ok');
    }
  });

  test('an error thrown by onProgress rejects, on this thread and on several', async () => {
    const onProgress = (): void => {
      throw new Error('stop');
    };
    await expect(audit(small, { onProgress, threads: 1 })).rejects.toThrow('stop');
    // From the handler of a thread’s message it must not become an uncaught exception.
    const uncaught = new Promise<Error>((resolve) => {
      process.once('uncaughtExceptionMonitor', resolve);
      onTestFinished(() => void process.removeListener('uncaughtExceptionMonitor', resolve));
    });
    const outcome = await Promise.race([
      audit(big, { onProgress, threads: 2 }).then(
        () => 'resolved',
        (error: unknown) => (error instanceof Error ? error.message : 'rejected'),
      ),
      uncaught.then(() => 'uncaught'),
    ]);
    expect(outcome).toBe('stop');
  });

  test.each([Number.NaN, -1, 0, 1.5, 1e9])('%d of them: answered', async (threads) => {
    const timeout = new Promise<string>((resolve) => setTimeout(resolve, 10_000, 'no answer'));
    const outcome = await Promise.race([
      audit(big, { threads }).then(
        () => 'answered',
        (error: unknown) => (error instanceof AuditError ? 'answered' : 'thrown'),
      ),
      timeout,
    ]);
    expect(outcome).toBe('answered');
  });
});

/** A hostile folder must lead to a verdict, soon, and never to `ok` where something signed is gone. */
describe('a hostile folder', () => {
  const replace = (file: string, make: (file: string) => void): void => {
    fs.rmSync(file, { recursive: true, force: true });
    make(file);
  };
  const fifo = (file: string): void => {
    execFileSync('mkfifo', [file]);
  };
  const socket = (file: string): void => {
    // A path beyond what a socket may have is reached from its own folder.
    const here = process.cwd();
    process.chdir(path.dirname(file));
    const server = net.createServer();
    server.listen(path.basename(file));
    process.chdir(here);
    onTestFinished(() => void server.close());
  };
  const folderThere = (file: string): void => void fs.mkdirSync(file);
  const empty = (file: string): void => fs.writeFileSync(file, '');
  const endless = (file: string): void => fs.symlinkSync('/dev/zero', file);
  const loop = (file: string): void => fs.symlinkSync(path.basename(file), file);
  const kinds = { fifo, socket, folder: folderThere, empty, endless, loop };

  test.each(
    Object.entries(kinds).flatMap(
      ([kind, make]) =>
        [
          [kind, 'a segment', (log: Folders) => replace(segmentFiles(log.dir)[1]!, make), false],
          [
            kind,
            'the last segment',
            (log: Folders) => replace(segmentFiles(log.dir).at(-1)!, make),
            false,
          ],
          [
            kind,
            'segments/',
            (log: Folders) => replace(path.join(log.dir, 'segments'), make),
            false,
          ],
          [
            kind,
            'checkpoint',
            (log: Folders) => replace(path.join(log.dir, 'checkpoint'), make),
            false,
          ],
          [
            kind,
            'a kept checkpoint',
            (log: Folders) => {
              const kept = path.join(log.dir, 'checkpoints');
              replace(path.join(kept, fs.readdirSync(kept)[0]!), make);
              // What cannot be opened at all counts as absent, and an old kept checkpoint may be absent.
            },
            kind === 'socket',
          ],
          [
            kind,
            'checkpoints/',
            (log: Folders) => replace(path.join(log.dir, 'checkpoints'), make),
            true,
          ],
          [kind, 'tile/', (log: Folders) => replace(path.join(log.dir, 'tile'), make), true],
          [kind, 'tile/0', (log: Folders) => replace(path.join(log.dir, 'tile', '0'), make), true],
          [
            kind,
            'tile/0/000',
            (log: Folders) => replace(path.join(log.dir, 'tile', '0', '000'), make),
            true,
          ],
          [
            kind,
            'tile/0/000.p',
            (log: Folders) => replace(path.join(log.dir, 'tile', '0', '000.p'), make),
            true,
          ],
        ] as [string, string, (log: Folders) => void, boolean][],
    ),
  )('%s in place of %s', async (_, __, spoil, mayBeOk) => {
    const log = copyOf(small);
    const [publicKey, hmacKey] = [publicKeyOf(log), initialKeyOf(log)];
    spoil(log);
    const start = performance.now();
    const report = await verifyLog({ dir: log.dir, publicKeys: [publicKey], hmacKey, threads: 1 });
    expect(performance.now() - start).toBeLessThan(5_000);
    if (!mayBeOk) expect(report.verdict).not.toBe('ok');
  });

  test.each([
    [
      'other names in segments/',
      (dir: string) => {
        for (const name of [
          'x',
          '.jsonl',
          'x'.repeat(250),
          '0.jsonl',
          '00000000000000000000.jsonl.tmp',
        ]) {
          fs.writeFileSync(path.join(dir, 'segments', name), 'x\n');
        }
      },
    ],
    ['a FIFO of another name', (dir: string) => fifo(path.join(dir, 'segments', 'x.jsonl'))],
    [
      'other files in the folder',
      (dir: string) => {
        for (const name of [
          'x',
          'checkpoint.tmp',
          'lock',
          'checkpoints/x',
          'tile/x',
          'tile/0/000.p/300',
          'tile/0/999',
        ]) {
          fs.writeFileSync(path.join(dir, name), 'x');
        }
      },
    ],
  ])('%s have no meaning', async (_, spoil) => {
    const log = copyOf(small);
    spoil(log.dir);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
  });

  test('a segment whose number is beyond every seq is not passed over', async () => {
    const log = copyOf(small);
    fs.writeFileSync(path.join(log.dir, 'segments', '99999999999999999999.jsonl'), 'x\n');
    expect((await audit(log)).verdict).not.toBe('ok');
  });

  test('a sparse file of a terabyte is answered at once', async () => {
    const log = copyOf(small);
    fs.truncateSync(segmentFiles(log.dir).at(-1)!, 2 ** 40);
    const start = performance.now();
    expect((await audit(log)).verdict).toMatch(/^(ok|tampered)$/);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  /** A record that anybody can add behind the end: its hash is invented. */
  function forge(log: Folders, type: string, details: object, epochs = 0): void {
    const last = JSON.parse(linesOf(log.dir).at(-1)!) as LogRecord;
    const line = `{"seq":${last.seq + 1},"timestamp":"2026-01-02T03:04:05.678Z","event_id":"evt_01890000-0000-7000-8000-000000000000","event_type":"${type}","emitter":"log","details":${JSON.stringify(details)},"epoch":${last.epoch + 1 + epochs},"prev_hash":"${last.hash}","hash":"${'a'.repeat(64)}"}\n`;
    fs.appendFileSync(segmentFiles(log.dir).at(-1)!, line);
  }

  test.each([
    ['a file that is not there', { torn_file: 'x', torn_sha256: 'a'.repeat(64) }],
    ['a name too long for a file', { torn_file: 'x'.repeat(300), torn_sha256: 'a'.repeat(64) }],
    ['a name with a NUL', { torn_file: 'a\u0000b', torn_sha256: 'a'.repeat(64) }],
    ['a path that leads out', { torn_file: '../../../etc/passwd', torn_sha256: 'a'.repeat(64) }],
    ['dots', { torn_file: '..', torn_sha256: 'a'.repeat(64) }],
  ])('a forged recovery naming %s: tampered', async (_, details) => {
    const log = copyOf(small);
    forge(log, 'log.recovered', details);
    expect(await publicly(log)).toMatchObject({ verdict: 'tampered' });
    expect(await audit(log)).toMatchObject({ verdict: 'tampered', findings: [{ kind: 'record' }] });
  });

  test('a forged record is only pending for the public level, and tampered for the auditor', async () => {
    const log = copyOf(small);
    forge(log, 'a.b', {});
    expect(await publicly(log)).toMatchObject({ verdict: 'ok', pending: 1 });
    expect(await audit(log)).toMatchObject({ verdict: 'tampered', findings: [{ kind: 'record' }] });
  });

  test('an invented epoch does not keep the verifier busy', async () => {
    const log = copyOf(small);
    const seq = 1_100_010;
    const line = `{"seq":${seq},"timestamp":"2026-01-02T03:04:05.678Z","event_id":"evt_01890000-0000-7000-8000-000000000000","event_type":"a.b","emitter":"x","epoch":1100000,"prev_hash":"${'0'.repeat(64)}","hash":"${'a'.repeat(64)}"}\n`;
    fs.writeFileSync(
      path.join(log.dir, 'segments', `${String(seq).padStart(20, '0')}.jsonl`),
      line,
    );
    const start = performance.now();
    expect((await audit(log)).verdict).toBe('tampered');
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe('what is brought', () => {
  test.each([
    [{ publicKeys: ['x'] }, 'bad_key'],
    [{ hmacKey: 'x' }, 'bad_key'],
    [{ held: [{ name: 'mine', note: 'x' }] }, 'bad_checkpoint'],
    [{ head: '{}' }, 'log_damaged'],
    [{ head: 'null' }, 'log_damaged'],
  ])('that cannot be used is refused: %j', async (brought, code) => {
    await expect(publicly(small, brought)).rejects.toMatchObject({ name: 'AuditError', code });
  });

  test('a folder that is not there, or is empty, is unverifiable', async () => {
    const publicKeys = [publicKeyOf(small)];
    for (const make of [() => {}, (dir: string) => void fs.mkdirSync(dir)]) {
      const { dir } = temporaryLog();
      make(dir);
      const report = await verifyLog({ dir, publicKeys });
      expect(report).toMatchObject({ verdict: 'unverifiable', records: 0, size: 0, pending: 0 });
    }
  });
});
