import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  checkProof,
  openAuditLog,
  proveRecord,
  readPublicKeyFile,
  verifyLog,
} from '@gatebook/audit';
import type {
  ChildTask,
  Hashed,
  LogFolders,
  Opened,
  Proved,
  Shared,
  Verified,
} from './child-tasks.js';
import { keepInFlight } from './drive.js';
import { event } from './event.js';
import { fillKeys } from './fill-keys.js';
import { appendOneByOne, decideCalls, makeGateCalls } from './gate-child.js';

/** Does one task in a process of its own and prints the answer as one line of JSON. */

function answer(value: unknown): void {
  fs.writeSync(1, `${JSON.stringify(value)}\n`);
}

/**
 * Appends until `records` are acknowledged, says so, and closes. Who wants a writer under load asks for more records
 * than it lets happen, and counts the lines that tell of every thousandth acknowledgement.
 */
async function append(task: Extract<ChildTask, { kind: 'append' }>): Promise<void> {
  const log = await openAuditLog({ dir: task.dir, keysDir: task.keysDir });
  let acknowledged = 0;
  const load = {
    inFlight: task.inFlight,
    recordsMax: task.records,
    msMax: Number.POSITIVE_INFINITY,
    warmUp: 0,
  };
  await keepInFlight(load, async () => {
    await log.append(event);
    if (++acknowledged % 1_000 === 0) answer(acknowledged);
  });
  await log.close();
}

/** Warms up, says so, and appends from the moment a line comes in. */
async function share({ dir, keysDir, load }: Extract<ChildTask, { kind: 'share' }>): Promise<void> {
  const log = await openAuditLog({ dir, keysDir });
  const append = async (): Promise<void> => {
    await log.append(event);
  };
  await keepInFlight({ ...load, recordsMax: load.warmUp }, append);
  answer('ready');
  await once(process.stdin, 'data');
  const { records, ms, cpuUs } = await keepInFlight(load, append);
  const shared: Shared = { records, ms, cpuUs };
  answer(shared);
  // The one that writes for the others stays until all of them are done.
  await once(process.stdin, 'end');
  await log.close();
}

async function open(folders: LogFolders): Promise<void> {
  const start = performance.now();
  const log = await openAuditLog({ dir: folders.dir, keysDir: folders.keysDir });
  const opened: Opened = { ms: performance.now() - start };
  await log.close();
  answer(opened);
}

/** Starts so many threads that do nothing, at once, as opening a log starts its two. */
async function startThreads(threads: number): Promise<void> {
  const start = performance.now();
  const workers = Array.from({ length: threads }, () => new Worker('', { eval: true }));
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  const opened: Opened = { ms: performance.now() - start };
  answer(opened);
}

async function verify(task: Extract<ChildTask, { kind: 'verify' }>): Promise<void> {
  const publicKey = await readPublicKeyFile(path.join(task.keysDir, 'public-key'));
  const hmacKey = task.auditor
    ? fs.readFileSync(path.join(task.keysDir, 'initial-hmac-key'), 'utf8')
    : undefined;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const report = await verifyLog({
    dir: task.dir,
    publicKeys: [publicKey],
    hmacKey,
    threads: task.threads,
  });
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const verified: Verified = {
    verdict: report.verdict,
    level: report.level,
    records: report.records,
    ms,
    cpuMs: (user + system) / 1_000,
    peakBytes: peakBytes(),
  };
  answer(verified);
}

async function prove(task: Extract<ChildTask, { kind: 'prove' }>): Promise<void> {
  const publicKey = await readPublicKeyFile(path.join(task.keysDir, 'public-key'));
  const times: number[] = [];
  let proof = '';
  for (const seq of task.seqs) {
    const start = performance.now();
    proof = await proveRecord({ dir: task.dir, seq });
    times.push(performance.now() - start);
    // A quick wrong answer would be no answer.
    if (checkProof(proof, [publicKey]).index !== seq) throw new Error(`no proof of record ${seq}`);
  }
  const [coldMs, ...warm] = times;
  if (coldMs === undefined) throw new Error('there is nothing to prove');
  const proved: Proved = { coldMs, ms: warm.slice(task.warmUps) };
  answer(proved);
}

async function hash(files: readonly string[]): Promise<void> {
  let bytes = 0;
  for (const file of files) {
    const digest = createHash('sha256');
    for await (const chunk of fs.createReadStream(file) as AsyncIterable<Buffer>) {
      digest.update(chunk);
      bytes += chunk.length;
    }
    digest.digest();
  }
  const hashed: Hashed = { bytes, peakBytes: peakBytes() };
  answer(hashed);
}

/**
 * The most memory this process has held. Linux counts its parent's memory at the time of the fork into a process's
 * `maxRSS`, so the high-water mark of its own memory is read where there is one.
 */
function peakBytes(): number {
  const status = fs.existsSync('/proc/self/status')
    ? fs.readFileSync('/proc/self/status', 'latin1')
    : '';
  const kibibytes = /^VmHWM:\s+([0-9]+) kB$/m.exec(status)?.[1];
  return Number(kibibytes ?? process.resourceUsage().maxRSS) * 1_024;
}

const task = JSON.parse(process.argv[2] ?? 'null') as ChildTask;
switch (task.kind) {
  case 'append':
    await append(task);
    break;
  case 'share':
    await share(task);
    break;
  case 'open':
    await open(task);
    break;
  case 'threads':
    await startThreads(task.threads);
    break;
  case 'verify':
    await verify(task);
    break;
  case 'prove':
    await prove(task);
    break;
  case 'gate-call':
    answer(await makeGateCalls(task));
    break;
  case 'decide':
    answer(await decideCalls(task));
    break;
  case 'one-by-one':
    answer(await appendOneByOne(task));
    break;
  case 'keys':
    answer(await fillKeys(task.keeper, task.sizes));
    break;
  case 'hash':
    await hash(task.files);
    break;
}
