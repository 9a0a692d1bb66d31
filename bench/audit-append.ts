import * as fs from 'node:fs';
import { openAuditLog, readLines } from '@gatebook/audit';
import {
  type Answer,
  atLeast,
  atMost,
  type Measures,
  quantile,
  type Round,
  ratioOf,
  ratioTable,
  type Table,
  tableOf,
} from './answer.js';
import {
  type Appender,
  barePromises,
  bareSync,
  filePerEvent,
  gatebook,
  pinoFile,
} from './append-contenders.js';
import type { Bench } from './bench.js';
import type { Run } from './drive.js';
import { event } from './event.js';
import type { Load } from './plan.js';
import { runRounds } from './rounds.js';
import { bareThread } from './thread-append.js';
import type { Workspace } from './workspace.js';

const own = gatebook.name;

/** How fast are records durable, and what does that cost? */
export async function auditAppend({ plan, workspace }: Bench): Promise<Answer> {
  const line = await oneLine(workspace);
  const everywhere = [gatebook, bareSync, barePromises, pinoFile, filePerEvent];
  const tables: Table[] = [];
  const levels = new Map<number, readonly Round[]>();
  for (const load of plan.loads) {
    const appenders = load.inFlight === 1 ? [...everywhere, bareThread] : everywhere;
    const peers = appenders.slice(1).map((appender) => appender.name);
    const contenders = appenders.map((appender) => ({
      name: appender.name,
      measure: () => measure(appender, load, workspace, line),
    }));
    const rounds = await runRounds(plan, contenders, workspace.settle);
    levels.set(load.inFlight, rounds);
    const level = `${load.inFlight.toLocaleString('en')} in flight`;
    const columns = ['records/s', 'p50 ms', 'p99 ms', 'CPU µs/record'];
    tables.push(tableOf(`Append, ${level}`, rounds));
    tables.push(ratioTable(`Append, ${level}: ratios`, rounds, own, peers, columns));
  }
  return {
    question: 'audit-append',
    title: 'Durable append',
    method: method(line.length, plan.loads),
    tables,
    targets: targets(levels),
  };
}

function method(lineBytes: number, loads: readonly Load[]): string[] {
  const most = loads.map((load) => `${load.recordsMax} records at ${load.inFlight} in flight`);
  const warm = loads.map((load) => `${load.warmUp} records at ${load.inFlight} in flight`);
  return [
    `The same event object for all. One record is a line of ${lineBytes} bytes; the bare peers write those bytes.`,
    `A round of one contender ends after ${most.join(', ')}, or after ${(loads[0]?.msMax ?? 0) / 1_000} s.`,
    `gatebook: each append is awaited, and resolves when the record is on disk; checkpoints and seals happen as by default. The thread that writes is new in every round, so it first appends ${warm.join(', ')} uncounted.`,
    'On a thread: the same write and sync, but the thread of the program asks another for it through a message port, as gatebook does, and goes on meanwhile. What gatebook adds to that is the rest of its latency.',
    'pino: pino.destination({ dest, sync: false }); it never syncs. The time of the flush at the end is counted. What it writes of the event is a shorter line.',
    'Latency is from the call to the acknowledgement, and pino gives none. CPU is user and system time of all threads.',
    'Ratios above 1 are better for records/s, below 1 for the others.',
  ];
}

function targets(levels: ReadonlyMap<number, readonly Round[]>): Answer['targets'] {
  const single = levels.get(1) ?? [];
  const thousand = levels.get(1_000) ?? [];
  const toPino = ratioOf(thousand, own, pinoFile.name, 'records/s').median;
  const toBare = ratioOf(single, own, bareSync.name, 'p50 ms').median;
  const toPromises = ratioOf(single, own, barePromises.name, 'p50 ms').median;
  return [
    atLeast(
      "durable throughput, 1,000 in flight, ÷ pino's undurable",
      toPino,
      1,
      '×',
      'the thread that writes. It hashes every line twice, for the chain and for the tree, and then waits for the disk; pino does neither. "Where the time of an append goes" has the share of each thread: what the writer lacks up to "wall" is its waiting for syncs.',
    ),
    atMost(
      'p50 latency, 1 in flight, ÷ bare writeSync + fdatasyncSync',
      toBare,
      1.5,
      '×',
      'the way to another thread and back, which keeps the event loop free. The bare write on a thread of its own pays for that way too; beyond it come the record itself and four looks whether lock, file and keys are still in their places.',
    ),
    atMost(
      'p50 latency, 1 in flight, ÷ bare write + datasync (promises)',
      toPromises,
      1.5,
      '×',
      'as above.',
    ),
  ];
}

async function measure(
  appender: Appender,
  load: Load,
  workspace: Workspace,
  line: Buffer,
): Promise<Measures> {
  const place = workspace.path();
  const run = await appender.append(load, place, line);
  fs.rmSync(place, { recursive: true, force: true });
  return measuresOf(run);
}

function measuresOf({ records, ms, cpuUs, latencies }: Run): Measures {
  return {
    'records/s': (records / ms) * 1_000,
    ...(latencies.length === 0
      ? {}
      : { 'p50 ms': quantile(latencies, 0.5), 'p99 ms': quantile(latencies, 0.99) }),
    'CPU µs/record': cpuUs / records,
  };
}

/** The event as gatebook stores it, newline included. */
async function oneLine(workspace: Workspace): Promise<Buffer> {
  const folders = workspace.logFolders();
  const log = await openAuditLog(folders);
  const { seq } = await log.append(event);
  await log.close();
  for await (const { line } of readLines(folders.dir, { fromSeq: seq })) {
    return Buffer.concat([line, Buffer.from('\n')]);
  }
  throw new Error('the record that was acknowledged is not in the log');
}
