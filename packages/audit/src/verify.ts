import { cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { parseVerifierKey } from './checkpoint.js';
import { parseHmacKey } from './epoch-keys.js';
import { AuditError, systemCode } from './errors.js';
import {
  type Brought,
  type FolderCheckpoints,
  readFolderCheckpoints,
  readHeld,
} from './evidence.js';
import { listSources } from './kept.js';
import { findNewestPruned } from './newest-own.js';
import { findNewestRepaired } from './repaired.js';
import { listSegments, type SegmentName } from './segment.js';
import {
  linesAtMost,
  openBytes,
  readableBytes,
  readBytes,
  unlessDamaged,
} from './segment-bytes.js';
import type { TlogPolicy } from './tlog-policy.js';
import { decide } from './verdict.js';
import { type ChunkResult, type ChunkTask, ChunkVerifier, epochJumpMax } from './verify-chunk.js';
import { Joiner, type Reading } from './verify-join.js';
import type { VerifyMemory } from './verify-memory.js';
import type { Level, VerifyReport } from './verify-report.js';
import type { Demand } from './verify-witness.js';

export interface VerifyOptions {
  readonly dir: string;
  /** Verifier keys in signed-note form, as the caller trusts them. */
  readonly publicKeys: readonly string[];
  /** The line of `initial-hmac-key`. */
  readonly hmacKey?: string | undefined;
  /** Default: `auditor` when `hmacKey` is given, else `public`. */
  readonly level?: Level | undefined;
  /** Signed checkpoints that the caller kept elsewhere. */
  readonly held?: readonly Brought[] | undefined;
  /** The content of the keys folder's `head`, as evidence of this host. */
  readonly head?: string | undefined;
  /** Cosignatures that a checkpoint of the log must carry; else the verdict is at best `unverifiable`. */
  readonly policy?: TlogPolicy | undefined;
  /** How long ago a trusted witness or an anchor may have seen the log last; else `unverifiable`. */
  readonly maxAgeMs?: number | undefined;
  /** Evidence that was asked for and could not be had; each makes the verdict at best `unverifiable`. */
  readonly problems?: readonly string[] | undefined;
  /** Threads for logs above 32 MiB; default: the number of processors, at most 8. */
  readonly threads?: number | undefined;
  /** Days for which records must have been kept, whatever the policy in the book allows. */
  readonly minRetentionDays?: number | undefined;
  /** Of earlier looks at the same log with the same keys; what did not change since is not read again. */
  readonly memory?: VerifyMemory | undefined;
  onProgress?(records: number, bytes: number): void;
}

const chunkBytes = 16 * 1024 * 1024;
const threadsFromBytes = 32 * 1024 * 1024;

/**
 * Verifies a log folder against what the caller brings, in constant memory, without its writer's help and also while it is
 * being written. Decides as docs/format.md §9 says. Throws `bad_key` or `bad_checkpoint` when what was
 * brought cannot be used; everything about the log itself is a verdict.
 */
export async function verifyLog(options: VerifyOptions): Promise<VerifyReport> {
  const { threads } = options;
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1 && threads <= 64)) {
    throw new AuditError('bad_option', 'threads must be an integer from 1 to 64', {
      member: 'threads',
    });
  }
  const keys = options.publicKeys.map(parseVerifierKey);
  const hmac = options.hmacKey === undefined ? undefined : parseHmacKey(options.hmacKey);
  const level = options.level ?? (hmac === undefined ? 'public' : 'auditor');
  const { memory } = options;
  const held = [...readHeld(options.held ?? [], options.head), ...(memory?.held ?? [])];
  const sizes = held.map((entry) => entry.checkpoint.size);
  for (let tries = 0; ; tries++) {
    // Checkpoints first: while the log is written, the records they cover are there when the segments are read.
    const folder = readFolderCheckpoints(options.dir);
    const segments = listSegments(options.dir);
    try {
      const reading = await readAll(options, folder, sizes, segments, hmac, level);
      const { dir } = options;
      const demand = demandOf(options);
      const count = segments.length;
      const facts = { dir, level, keys, hmac, held, folder, reading, segments: count, demand };
      // A log that deletes segments meanwhile is read again; one that has nothing to do with it stays as it was.
      if (tries === pruneTriesMax || !pruned(dir, segments)) {
        const report = decide(facts);
        memory?.saw(report);
        return report;
      }
    } catch (error) {
      if (tries === pruneTriesMax || systemCode(error) !== 'ENOENT') throw error;
    }
  }
}

const pruneTriesMax = 3;

/** Whether segments that were listed are gone by now. */
function pruned(dir: string, segments: readonly SegmentName[]): boolean {
  const now = new Set(listSegments(dir).map(({ name }) => name));
  return segments.some(({ name }) => !now.has(name));
}

function demandOf({ policy, maxAgeMs, problems = [] }: VerifyOptions): Demand | undefined {
  if (policy === undefined && maxAgeMs === undefined && problems.length === 0) return undefined;
  return { policy, maxAgeMs, problems, nowMs: Date.now() };
}

async function readAll(
  options: VerifyOptions,
  folder: FolderCheckpoints,
  heldSizes: readonly number[],
  segments: readonly SegmentName[],
  hmac: ReturnType<typeof parseHmacKey> | undefined,
  level: Level,
): Promise<Reading> {
  const sizes = [...folder.entries.map((entry) => entry.checkpoint?.size ?? 0), ...heldSizes];
  const cuts = [...new Set(sizes)].sort((a, b) => a - b);
  const joiner = new Joiner({
    dir: options.dir,
    cuts,
    newestPruned: findNewestPruned(options.dir, segments),
    newestRepaired: findNewestRepaired(segments),
    minRetentionDays: options.minRetentionDays,
    hmac: level === 'auditor' ? hmac : undefined,
  });
  const chunks = segments.flatMap((segment) => chunksOf(segment));
  const epochMax = epochBounds(listSources(options.dir));
  const tasks = chunks.map(
    (chunk): ChunkTask => ({
      dir: options.dir,
      path: chunk.segment.path,
      firstSeq: chunk.segment.firstSeq,
      from: chunk.from,
      to: chunk.to,
      endsSegment: chunk.ends,
      cuts,
      epochMax: epochMax.get(chunk.segment.name) ?? 0,
      hmac: level === 'auditor' ? hmac : undefined,
    }),
  );
  let records = 0;
  let bytes = 0;
  const join = (at: number, result: ChunkResult): boolean => {
    const { segment, from } = chunks[at]!;
    joiner.add(segment, from === 0, segment === segments.at(-1), from, result);
    records += result.count;
    bytes += Math.max(0, result.end - from);
    options.onProgress?.(records, bytes);
    return !joiner.faulty;
  };
  const { memory } = options;
  const marks = tasks.map((task) => memory?.markOf(task));
  const known = tasks.map((task, at) => memory?.recall(task, marks[at]));
  const take = (at: number, result: ChunkResult): boolean => {
    if (known[at] === undefined) memory?.remember(tasks[at]!, marks[at], result);
    return join(at, result);
  };
  const unread = chunks.filter((_, at) => known[at] === undefined);
  await runTasks(tasks, known, take, threadsFor(options, unread));
  return joiner.reading();
}

/**
 * The highest epoch that can stand in each segment: no epoch is empty, so there are no more than records in the files so
 * far, and those that a gap may hide. What claims more is not worth deriving a key for.
 */
function epochBounds(sources: readonly SegmentName[]): ReadonlyMap<string, number> {
  const bounds = new Map<string, number>();
  let epochs = 0;
  let recordsEnd = 0;
  for (const segment of sources) {
    if (segment.firstSeq > recordsEnd) epochs += epochJumpMax;
    const records = linesAtMost(segment.path);
    epochs += records;
    recordsEnd = segment.firstSeq + records;
    bounds.set(segment.name, epochs);
  }
  return bounds;
}

interface Chunk {
  readonly segment: SegmentName;
  readonly from: number;
  readonly to: number;
  readonly ends: boolean;
  readonly bytes: number;
}

/** Cuts a segment where lines begin; the last chunk reads to whatever the end is by then. */
function chunksOf(segment: SegmentName): Chunk[] {
  const chunks: Chunk[] = [];
  const file = openBytes(segment.path);
  let size = 0;
  let from = 0;
  try {
    size = readableBytes(file);
    const window = Buffer.alloc(70_000);
    while (size - from > chunkBytes * 1.5) {
      const read = (): number => readBytes(file, window, from + chunkBytes);
      // Without a line end where one must be, the rest is one chunk, and its reader finds the fault.
      const newline = window.subarray(0, unlessDamaged(read, 0)).indexOf(10);
      if (newline < 0) break;
      const to = from + chunkBytes + newline + 1;
      chunks.push({ segment, from, to, ends: false, bytes: to - from });
      from = to;
    }
  } finally {
    file.close();
  }
  const bytes = Math.max(0, size - from);
  chunks.push({ segment, from, to: Number.POSITIVE_INFINITY, ends: true, bytes });
  return chunks;
}

function threadsFor(options: VerifyOptions, chunks: readonly Chunk[]): number {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  const threads = Math.min(options.threads ?? Math.min(cpus().length, 8), chunks.length);
  return bytes < threadsFromBytes || threads < 2 ? 0 : threads;
}

/** What a thread makes for a line is garbage at once: more room for it is memory and no speed. */
const threadOptions = { execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 8 } };

type OnResult = (at: number, result: ChunkResult) => boolean;

/** Runs the tasks and hands their results over in order, until one says that no more are wanted. */
async function runTasks(
  tasks: readonly ChunkTask[],
  known: readonly (ChunkResult | undefined)[],
  onResult: OnResult,
  threads: number,
): Promise<void> {
  if (threads === 0) {
    const verifier = new ChunkVerifier();
    for (let at = 0; at < tasks.length; at++) {
      if (!onResult(at, known[at] ?? verifier.verify(tasks[at]!))) return;
    }
    return;
  }
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('./verify-thread.js', import.meta.url), threadOptions),
  );
  try {
    await new Promise<void>((resolve, reject) => {
      const done = new Map<number, ChunkResult>();
      const idle = [...workers];
      let next = 0;
      let joined = 0;
      const giveOut = (): void => {
        // Results wait for earlier ones; a bound on how far ahead anybody works bounds the memory.
        while (next < tasks.length && next - joined <= threads * 4) {
          const result = known[next];
          if (result === undefined && idle.length === 0) return;
          if (result === undefined) idle.pop()?.postMessage({ id: next, task: tasks[next] });
          else done.set(next, result);
          next++;
        }
      };
      /** Hands over what is ready, and gives out what there is room for by then; true when all is done. */
      const goOn = (): boolean => {
        for (;;) {
          const before = joined;
          giveOut();
          for (let ready = done.get(joined); ready !== undefined; ready = done.get(joined)) {
            done.delete(joined);
            if (!onResult(joined++, ready) || joined === tasks.length) return true;
          }
          if (joined === before) return false;
        }
      };
      for (const worker of workers) {
        worker.on('error', (error) =>
          reject(
            new AuditError('log_failed', `a verifying thread failed: ${error.message}`, {
              cause: error,
            }),
          ),
        );
        worker.on('message', ({ id, result }: { id: number; result: ChunkResult }) => {
          idle.push(worker);
          done.set(id, result);
          try {
            if (goOn()) resolve();
          } catch (error) {
            reject(error);
          }
        });
      }
      if (goOn()) resolve();
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
