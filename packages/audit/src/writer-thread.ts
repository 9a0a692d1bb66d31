import * as fs from 'node:fs';
import * as path from 'node:path';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from './clock.js';
import { makeFolder, settleFolder } from './durable.js';
import { AuditError } from './errors.js';
import { createKeys, initialKeyOnHost, readKeys } from './keys.js';
import { isStill, type KernelLock, takeLock } from './lock.js';
import type { Answer, KeyRequest, Question } from './question.js';
import { findStanding } from './recovery.js';
import { listSegments } from './segment.js';
import {
  type FromWriter,
  type Outcome,
  type ToWriter,
  toPlainError,
  type WriterThreadData,
} from './thread-messages.js';
import { type Report, Writer } from './writer.js';

/**
 * The writer's thread: it waits without an event loop, takes everything that has arrived since, writes and syncs it as
 * one group, and reports. So what arrives while a sync is under way shares the next one.
 */

const { options, port, doorPort, signal, size, lock } = workerData as WriterThreadData;

/** The log's own process first, then the other processes. */
const ports = [port, doorPort];

function sendAll(message: FromWriter): void {
  for (const each of ports) each.postMessage(message);
}

/** The log's own lock is held by the thread that started this one; the keys folder's is taken here. */
function openWriter(): { writer: Writer; keysLock: KernelLock } {
  const { dir, keysDir } = options;
  let keysLock: KernelLock | undefined;
  try {
    makeFolder(dir);
    makeFolder(keysDir);
    checkFolders(dir, keysDir);
    keysLock = takeLock(path.join(keysDir, 'lock'), `the keys folder ${keysDir}`);
    if (listSegments(dir).length === 0) {
      settleFolder(dir);
      settleFolder(keysDir);
    }
    const keys = readKeys(keysDir) ?? firstKeys();
    const writer = new Writer(options, keys, findStanding(dir, keys), systemClock);
    tellSize(writer);
    sendAll({
      kind: 'ready',
      origin: keys.origin,
      publicKey: keys.signing.publicKey.text,
      initialKeyFile: initialKeyOnHost(keysDir),
      content: writer.contentMode,
    });
    return { writer, keysLock };
  } catch (error) {
    keysLock?.release();
    throw error;
  }
}

/** Links resolved, the keys must lie outside the log, and nobody else may be able to replace the log's files. */
function checkFolders(dir: string, keysDir: string): void {
  if (`${fs.realpathSync(keysDir)}/`.startsWith(`${fs.realpathSync(dir)}/`)) {
    throw new AuditError(
      'bad_option',
      `the keys folder ${keysDir} lies inside the log folder ${dir}`,
    );
  }
  const { mode } = fs.statSync(dir);
  if (process.platform !== 'win32' && (mode & 0o022) !== 0) {
    throw new AuditError(
      'keys_unsafe',
      `${dir} can be written by other users (mode ${(mode & 0o777).toString(8)}); run chmod go-w on it`,
    );
  }
}

/** New keys are made for a new log only: records without their keys are not a new log. */
function firstKeys(): ReturnType<typeof createKeys> {
  const { dir, keysDir } = options;
  if (listSegments(dir).length > 0) {
    throw new AuditError(
      'keys_missing',
      `${dir} holds a log, but ${keysDir} holds no keys; pass the log's own keys folder or restore it`,
    );
  }
  return createKeys(keysDir);
}

function tellSize(writer: Writer): void {
  Atomics.store(size, 0, BigInt(writer.seq));
}

/** Sends each outcome to where the records came from. */
class Outcomes implements Report {
  /** Where the records of the batch came from, in its order. */
  readonly #sources: { readonly from: MessagePort; count: number }[] = [];

  expect(from: MessagePort, count: number): void {
    const last = this.#sources.at(-1);
    if (last?.from === from) last.count += count;
    else this.#sources.push({ from, count });
  }

  durable(firstSeq: number, count: number): void {
    let seq = firstSeq;
    this.#share(count, (taken) => {
      const outcome = { firstSeq: seq, count: taken };
      seq += taken;
      return outcome;
    });
  }

  failed(count: number, error: AuditError): void {
    const plain = toPlainError(error);
    this.#share(count, (taken) => ({ count: taken, error: plain }));
  }

  #share(count: number, outcome: (taken: number) => Outcome): void {
    let left = count;
    while (left > 0) {
      const source = this.#sources[0]!;
      const taken = Math.min(left, source.count);
      const message: FromWriter = { kind: 'outcomes', outcomes: [outcome(taken)] };
      source.from.postMessage(message);
      source.count -= taken;
      left -= taken;
      if (source.count === 0) this.#sources.shift();
    }
  }
}

function receive(from: MessagePort): ToWriter | undefined {
  return (receiveMessageOnPort(from) as { message: ToWriter } | undefined)?.message;
}

/** Everything that has arrived since the last group, to be written as one. */
class Arrivals {
  readonly #writer: Writer;
  readonly #report = new Outcomes();
  #batches: Uint8Array[] = [];
  #count = 0;

  constructor(writer: Writer) {
    this.#writer = writer;
  }

  add(from: MessagePort, batch: Uint8Array, count: number): void {
    this.#batches.push(batch);
    this.#count += count;
    this.#report.expect(from, count);
  }

  /** Another file under the lock's name is another lock, which another writer may have. */
  write(): void {
    if (this.#count === 0) return;
    checkLock();
    const batch =
      this.#batches.length === 1 ? asBuffer(this.#batches[0]!) : Buffer.concat(this.#batches);
    const count = this.#count;
    this.#batches = [];
    this.#count = 0;
    this.#writer.append(batch, count, this.#report);
    tellSize(this.#writer);
  }
}

function checkLock(): void {
  if (isStill(lock)) return;
  throw new AuditError(
    'log_failed',
    `the lock file ${lock.file} was replaced or deleted, so another writer may be at work; this one stops. Open the log again`,
  );
}

/** Runs until the log is closed. Throws when it must not write any more. */
function serve(writer: Writer): AuditError | undefined {
  const arrivals = new Arrivals(writer);
  for (;;) {
    const seen = Atomics.load(signal, 0);
    for (const from of ports) {
      for (let message = receive(from); message !== undefined; message = receive(from)) {
        if (message.kind === 'append') {
          arrivals.add(from, message.batch, message.count);
          continue;
        }
        arrivals.write();
        checkLock();
        if (message.kind === 'close') return closeWriter(writer);
        if (message.kind === 'ask') from.postMessage(answerTo(writer, message));
      }
    }
    arrivals.write();
    if (writer.dueInMs() <= 0) checkLock();
    writer.tick();
    tellSize(writer);
    const dueMs = writer.dueInMs();
    if (dueMs > 0)
      Atomics.wait(
        signal,
        0,
        seen,
        dueMs === Number.POSITIVE_INFINITY ? undefined : Math.ceil(dueMs),
      );
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function answerTo(
  writer: Writer,
  { id, question }: Extract<ToWriter, { kind: 'ask' }>,
): FromWriter {
  try {
    return { kind: 'answer', id, answer: answerOf(writer, question) };
  } catch (error) {
    return { kind: 'answer_failed', id, error: toPlainError(error) };
  }
}

function answerOf(writer: Writer, question: Question): Answer {
  switch (question.ask) {
    case 'checkpoint':
      return writer.checkpoint();
    case 'rotate':
      return writer.rotate();
    case 'prune':
      return writer.prune(question);
    case 'erase':
      return writer.erase(question);
    case 'keys':
      return changeKey(writer, question.request);
  }
}

function changeKey(writer: Writer, request: KeyRequest): string {
  if (request.action === 'retire') return writer.retireKey();
  return writer.rotateKey(request.options, request.witnesses);
}

function closeWriter(writer: Writer): AuditError | undefined {
  try {
    writer.close();
    return undefined;
  } catch (error) {
    if (error instanceof AuditError) return error;
    return new AuditError('log_failed', `the log could not be closed cleanly: ${String(error)}`, {
      cause: error,
    });
  }
}

function main(): void {
  let opened: ReturnType<typeof openWriter>;
  try {
    opened = openWriter();
  } catch (error) {
    sendLast({ kind: 'refused', error: toPlainError(error) });
    return;
  }
  const last = run(opened.writer);
  opened.keysLock.release();
  sendLast(last);
}

function run(writer: Writer): FromWriter {
  try {
    const error = serve(writer);
    return { kind: 'closed', error: error === undefined ? undefined : toPlainError(error) };
  } catch (error) {
    return { kind: 'failed', error: toPlainError(error) };
  }
}

/** The thread lives until the log has closed its port, for the end of a thread can overtake its last message. */
function sendLast(message: FromWriter): void {
  port.on('message', () => {});
  sendAll(message);
}

main();
