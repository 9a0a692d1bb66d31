import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { slotsMax } from './consultations.js';
import { createFolder } from './durable.js';
import { AuditError, reasonOf } from './errors.js';
import type { Caller, Consulted, HookEnd, HookMaker } from './hook.js';
import { HookHost } from './hook-host.js';
import type { Link, LinkListener } from './link.js';
import { holderName, isStill, type KernelLock, readLockNote, tryTakeLock } from './lock.js';
import type { WriterOptions } from './options.js';
import { checkNamedSocket, prepareSocketFolder, socketPlace } from './socket-place.js';
import {
  type DoorOptions,
  type FromDoor,
  type FromWriter,
  fromPlainError,
  type LogFacts,
  type ToWriter,
} from './thread-messages.js';

/** How long the door may take to send everybody away before the lock is released without it. */
const leaveMs = 1_000;

/** Whoever asks for the holder of a free lock has it for a moment. */
const holdAttemptsMax = 10;
const holdPauseMs = 10;

/** Who answers messages in this process, and by what name it sends its own. */
export interface Answering {
  readonly hook: HookMaker | undefined;
  readonly client: string;
}

/** What an operator decides about the door; without it, processes of this user find it by themselves. */
export interface DoorChoice {
  readonly socket?: string | undefined;
  readonly socketGroup?: number | undefined;
  readonly tokenFile?: string | undefined;
}

/**
 * Takes the lock of the log in `options.dir`, making the folder at first use; undefined when another process has it.
 * The lock's file then says where this process will be reached.
 */
export function takeLogLock(
  options: WriterOptions,
  choice: DoorChoice = {},
): { readonly lock: KernelLock; readonly door: DoorOptions } | undefined {
  try {
    // Made durable by the writer's thread, before it relies on it.
    createFolder(options.dir);
    const door: DoorOptions = {
      socket: choice.socket ?? socketPlace(options.dir),
      ownFolder: choice.socket === undefined,
      group: choice.socketGroup,
      tokenFile: choice.tokenFile,
    };
    if (choice.socketGroup !== undefined) checkLogFolder(options.dir);
    const lock = tryTakeLock(lockFile(options.dir), door.socket);
    return lock === undefined ? undefined : { lock, door };
  } catch (error) {
    if (error instanceof AuditError) throw error;
    const message = `the log ${options.dir} cannot be opened: ${reasonOf(error)}`;
    throw new AuditError('log_failed', message, { cause: error });
  }
}

/** The log as a writer that others reach where the operator says. Throws `log_locked` when another process has it. */
export async function holdLog(
  options: WriterOptions,
  choice: DoorChoice,
  answering: Answering,
): Promise<Holder> {
  const checked = checkChoice(choice);
  for (let attempt = 0; attempt < holdAttemptsMax; attempt++) {
    const taken = takeLogLock(options, checked);
    if (taken !== undefined) return await Holder.start(options, taken, answering);
    await sleep(holdPauseMs);
  }
  const holder = holderName(readLockNote(lockFile(options.dir)).pid);
  throw new AuditError('log_locked', `the log ${options.dir} is open in ${holder}; end that first`);
}

function checkChoice({ socket, socketGroup, tokenFile }: DoorChoice): DoorChoice {
  const choice = {
    socket: socket === undefined ? undefined : checkNamedSocket(path.resolve(socket)),
    socketGroup,
    tokenFile: tokenFile === undefined ? undefined : path.resolve(tokenFile),
  };
  const bad = (member: string, reason: string): AuditError =>
    new AuditError('bad_option', `${member} ${reason}`, { member });
  if (socketGroup !== undefined) {
    if (!Number.isSafeInteger(socketGroup) || socketGroup < 0) {
      throw bad('socketGroup', 'must be the id of a group');
    }
    if (socket === undefined) throw bad('socketGroup', 'needs a socket outside your own folders');
    if (tokenFile === undefined) {
      throw bad('socketGroup', 'needs a tokenFile: others may only append as who they prove to be');
    }
  }
  return choice;
}

/** Who may append and nothing else must find nothing in the folder. */
function checkLogFolder(dir: string): void {
  const { mode } = fs.statSync(dir);
  if ((mode & 0o027) === 0) return;
  throw new AuditError(
    'keys_unsafe',
    `${dir} is open to others (mode ${(mode & 0o777).toString(8)}) who shall only append; run chmod g-w,o-rwx on it`,
  );
}

export function lockFile(dir: string): string {
  return path.join(dir, 'lock');
}

/**
 * The writer of a log in this process: a thread that writes, a thread that lets other processes in, and the lock, which
 * is held until both have ended.
 */
export class Holder implements Link {
  readonly facts: LogFacts;
  readonly emitter = undefined;
  readonly isOwn = true;
  readonly knowsUs = true;
  readonly socket: string;
  /** Resolves when the writer had to stop by itself. */
  readonly failed: Promise<AuditError>;
  readonly #writer: Worker;
  readonly #startDoor: () => Worker;
  #door: Worker | undefined;
  #doorTimer: NodeJS.Timeout | undefined;
  readonly #port: MessagePort;
  readonly #signal: Int32Array;
  readonly #lock: KernelLock;
  readonly #hook: HookHost;
  readonly #self: Caller;
  #listener: LinkListener | undefined;
  #doorGone: boolean = false;
  #onDoorGone: (() => void) | undefined;
  #ended = false;
  #onFailed: ((error: AuditError) => void) | undefined;

  private constructor(parts: Parts, facts: LogFacts) {
    this.facts = facts;
    this.failed = new Promise((resolve) => {
      this.#onFailed = resolve;
    });
    this.socket = parts.socket;
    this.#writer = parts.writer;
    this.#startDoor = parts.startDoor;
    this.#port = parts.port;
    this.#signal = parts.signal;
    this.#lock = parts.lock;
    this.#hook = parts.hook;
    this.#self = { client: parts.client, pid: process.pid };
    this.#port.on('message', (message: FromWriter) => void this.#receive(message));
    this.#writer.on('error', (error) =>
      this.#die(`the writer's thread failed: ${error.message}`, error),
    );
    this.#writer.on('exit', () => this.#die('the writer has ended', undefined));
    if (parts.door !== undefined) this.#watchDoor(parts.door);
    else this.#doorTimer = setTimeout(() => this.#watchDoor(this.#startDoor()), parts.doorDelayMs);
    this.unref();
  }

  #watchDoor(door: Worker): void {
    this.#door = door;
    this.#doorTimer = undefined;
    door.on('error', (error) => {
      this.#die(`the thread that lets other processes in failed: ${error.message}`, error);
    });
    door.on('message', (message: FromDoor) => {
      if (message.kind === 'left') this.#leftDoor();
      else if (message.kind === 'failed') {
        const { code, message: reason } = message.error;
        this.#die(`no other process can be let in any more (${code}: ${reason})`, undefined);
      }
    });
    door.on('exit', () => this.#leftDoor());
    door.unref();
  }

  /** Who ends before others were let in has nobody to send away. */
  #keepDoorShut(): void {
    if (this.#doorTimer === undefined) return;
    clearTimeout(this.#doorTimer);
    this.#doorTimer = undefined;
    this.#doorGone = true;
  }

  /**
   * Starts both threads under a lock that was taken, and releases it when the log cannot be opened. With `doorDelayMs` the one that
   * lets others in starts so long after the opening, if the log is still open then: who ends at once is spared it.
   */
  static async start(
    options: WriterOptions,
    { lock, door }: { readonly lock: KernelLock; readonly door: DoorOptions },
    answering: Answering,
    doorDelayMs = 0,
  ): Promise<Holder> {
    let parts: Parts | undefined;
    try {
      // What can be wrong with the place is said now, also where the door comes later.
      if (doorDelayMs > 0 && door.ownFolder) prepareSocketFolder(door.socket);
      parts = startThreads(options, lock, door, answering, doorDelayMs);
      const doorOpen = parts.door === undefined ? undefined : listening(parts.door);
      // The writer's refusal says more than what becomes of the door then.
      doorOpen?.catch(() => {});
      const facts = await ready(parts);
      await doorOpen;
      return new Holder(parts, facts);
    } catch (error) {
      parts?.port.close();
      await Promise.all([parts?.writer.terminate(), parts?.door?.terminate()]);
      lock.release();
      throw error;
    }
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
  }

  send(message: ToWriter): void {
    if (message.kind === 'close') this.#keepDoorShut();
    const transfer = message.kind === 'append' ? [message.batch.buffer as ArrayBuffer] : [];
    this.#port.postMessage(message, transfer);
    Atomics.add(this.#signal, 0, 1);
    Atomics.notify(this.#signal, 0);
  }

  get host(): string {
    return this.#hook.id;
  }

  consult(message: string): Promise<Consulted> {
    return this.#hook.consult(message, this.#self);
  }

  ref(): void {
    this.#writer.ref();
    this.#port.ref();
  }

  unref(): void {
    this.#writer.unref();
    this.#door?.unref();
    this.#doorTimer?.unref();
    this.#port.unref();
  }

  end(): void {
    this.#ended = true;
    this.#keepDoorShut();
    this.#port.close();
  }

  async #receive(message: FromWriter): Promise<void> {
    if (message.kind === 'failed') await this.#letGo('failed');
    if (message.kind === 'closed') {
      await this.#letGo(message.error === undefined ? 'clean' : 'failed');
    }
    if (message.kind === 'failed') this.#tellFailure(fromPlainError(message.error));
    else this.#listener?.receive(message);
  }

  /** The lock is released last: until then nobody else makes a socket in the place of ours. */
  async #letGo(how: HookEnd): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#keepDoorShut();
    const settled = this.#hook.stop();
    await this.#leaveDoor();
    await settled;
    await this.#hook.close(how);
    this.#lock.release();
  }

  async #leaveDoor(): Promise<void> {
    if (!this.#doorGone) {
      this.#door?.ref();
      await new Promise<void>((resolve) => {
        const patience = setTimeout(resolve, leaveMs);
        this.#onDoorGone = () => {
          clearTimeout(patience);
          resolve();
        };
      });
      this.#door?.unref();
    }
  }

  #leftDoor(): void {
    this.#doorGone = true;
    this.#onDoorGone?.();
  }

  #die(reason: string, cause: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#keepDoorShut();
    const error = new AuditError('log_failed', `${reason}; open the log again`, { cause });
    const gone = [this.#writer.terminate(), this.#door?.terminate(), this.#hook.close('failed')];
    void Promise.allSettled(gone).then(() => this.#lock.release());
    this.#tellFailure(error);
  }

  #tellFailure(error: AuditError): void {
    this.#onFailed?.(error);
    this.#listener?.died(error);
  }
}

interface Parts {
  readonly writer: Worker;
  /** Undefined while it is not to be started yet. */
  readonly door: Worker | undefined;
  readonly doorDelayMs: number;
  readonly startDoor: () => Worker;
  readonly port: MessagePort;
  readonly signal: Int32Array;
  readonly lock: KernelLock;
  readonly socket: string;
  readonly hook: HookHost;
  readonly client: string;
}

function startThreads(
  options: WriterOptions,
  lock: KernelLock,
  door: DoorOptions,
  { hook: make, client }: Answering,
  doorDelayMs: number,
): Parts {
  const log = new MessageChannel();
  const others = new MessageChannel();
  const signal = new Int32Array(new SharedArrayBuffer(4));
  const size = new BigInt64Array(new SharedArrayBuffer(8));
  const { identity } = lock;
  const hook = new HookHost(make, () => isStill(identity));
  const messages = new MessageChannel();
  const claims = new Int32Array(new SharedArrayBuffer(4 * slotsMax));
  hook.serve(messages.port1, claims);
  const start = (file: string, name: string, data: object, port: MessagePort[]): Worker =>
    new Worker(new URL(file, import.meta.url), {
      name,
      workerData: { options, signal, size, lock: identity, ...data },
      transferList: port,
      // The flags of the program around us (--input-type, --cpu-prof) are not the thread's.
      execArgv: [],
    });
  const writerPorts = { port: log.port2, doorPort: others.port2 };
  const startDoor = (): Worker =>
    start(
      './door-thread.js',
      'gatebook-door',
      { port: others.port1, door, hook: { host: hook.id, port: messages.port2, claims } },
      [others.port1, messages.port2],
    );
  return {
    writer: start('./writer-thread.js', 'gatebook-log', writerPorts, [log.port2, others.port2]),
    door: doorDelayMs > 0 ? undefined : startDoor(),
    doorDelayMs,
    startDoor,
    port: log.port1,
    signal,
    lock,
    socket: door.socket,
    hook,
    client,
  };
}

function ready({ port, writer }: Parts): Promise<LogFacts> {
  return new Promise((resolve, reject) => {
    port.once('message', (message: FromWriter) => {
      if (message.kind === 'ready') resolve(message);
      else if (message.kind === 'refused') reject(fromPlainError(message.error));
      else reject(new AuditError('log_failed', `the writer said ${message.kind} first`));
    });
    failing(writer, 'the writer', reject);
  });
}

function listening(door: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    door.once('message', (message: FromDoor) => {
      if (message.kind === 'failed') reject(fromPlainError(message.error));
      else resolve();
    });
    failing(door, 'the thread that lets other processes in', reject);
  });
}

function failing(worker: Worker, who: string, reject: (error: AuditError) => void): void {
  worker.once('error', (error) => {
    const message = `${who} failed: ${error.message}`;
    reject(new AuditError('log_failed', message, { cause: error }));
  });
  worker.once('exit', () => {
    reject(new AuditError('log_failed', `${who} ended before it was ready`));
  });
}
