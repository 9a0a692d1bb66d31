import * as fs from 'node:fs';
import * as path from 'node:path';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from './clock.js';
import { makeFolder, settleFolder } from './durable.js';
import { AuditError } from './errors.js';
import { createKeys, initialKeyOnHost, readKeys } from './keys.js';
import { type KernelLock, takeLock } from './lock.js';
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

const { options, port, signal } = workerData as WriterThreadData;

function send(message: FromWriter): void {
  port.postMessage(message);
}

function openWriter(): { writer: Writer; locks: KernelLock[] } {
  const { dir, keysDir } = options;
  const locks: KernelLock[] = [];
  try {
    makeFolder(dir);
    makeFolder(keysDir);
    checkFolders(dir, keysDir);
    locks.push(takeLock(path.join(dir, 'lock'), `the log ${dir}`));
    locks.push(takeLock(path.join(keysDir, 'lock'), `the keys folder ${keysDir}`));
    if (listSegments(dir).length === 0) {
      settleFolder(dir);
      settleFolder(keysDir);
    }
    const keys = readKeys(keysDir) ?? firstKeys();
    const writer = new Writer(options, keys, findStanding(dir, keys), systemClock);
    send({
      kind: 'ready',
      origin: keys.origin,
      publicKey: keys.signing.publicKey.text,
      initialKeyFile: initialKeyOnHost(keysDir),
    });
    return { writer, locks };
  } catch (error) {
    for (const lock of locks) lock.release();
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

/** Collects outcomes so that one message carries those of a whole batch. */
class Outcomes implements Report {
  #outcomes: Outcome[] = [];

  durable(firstSeq: number, count: number): void {
    this.#outcomes.push({ firstSeq, count });
    this.flush();
  }

  failed(count: number, error: AuditError): void {
    this.#outcomes.push({ count, error: toPlainError(error) });
    this.flush();
  }

  flush(): void {
    if (this.#outcomes.length === 0) return;
    send({ kind: 'outcomes', outcomes: this.#outcomes });
    this.#outcomes = [];
  }
}

function receive(): ToWriter | undefined {
  return (receiveMessageOnPort(port) as { message: ToWriter } | undefined)?.message;
}

/** Runs until the log is closed. */
function serve(writer: Writer): AuditError | undefined {
  const report = new Outcomes();
  for (;;) {
    const seen = Atomics.load(signal, 0);
    let batches: Uint8Array[] = [];
    let count = 0;
    const appendAll = (): void => {
      if (count === 0) return;
      const batch = batches.length === 1 ? asBuffer(batches[0]!) : Buffer.concat(batches);
      writer.append(batch, count, report);
      batches = [];
      count = 0;
    };
    for (let message = receive(); message !== undefined; message = receive()) {
      if (message.kind === 'append') {
        batches.push(message.batch);
        count += message.count;
        continue;
      }
      appendAll();
      if (message.kind === 'close') return closeWriter(writer);
      if (message.kind === 'keys') answerKeys(writer, message);
      else if (message.kind === 'rotate') answerRotate(writer, message.id);
      else answerCheckpoint(writer, message.id);
    }
    appendAll();
    writer.tick();
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

function answerCheckpoint(writer: Writer, id: number): void {
  try {
    send({ kind: 'checkpoint', id, note: writer.checkpoint() });
  } catch (error) {
    send({ kind: 'checkpoint_failed', id, error: toPlainError(error) });
  }
}

function answerRotate(writer: Writer, id: number): void {
  try {
    send({ kind: 'rotated', id, sealed: writer.rotate() });
  } catch (error) {
    send({ kind: 'rotate_failed', id, error: toPlainError(error) });
  }
}

function answerKeys(writer: Writer, { id, request }: Extract<ToWriter, { kind: 'keys' }>): void {
  try {
    const publicKey =
      request.action === 'rotate' ? writer.rotateKey(request.options) : writer.retireKey();
    send({ kind: 'keys', id, publicKey });
  } catch (error) {
    send({ kind: 'keys_failed', id, error: toPlainError(error) });
  }
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
  const error = serve(opened.writer);
  for (const lock of opened.locks) lock.release();
  sendLast({ kind: 'closed', error: error === undefined ? undefined : toPlainError(error) });
}

/** The thread lives until the log has closed its port, for the end of a thread can overtake its last message. */
function sendLast(message: FromWriter): void {
  port.on('message', () => {});
  send(message);
}

main();
