import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import { checkBody } from './body-check.js';
import { contentLinesBytesMax, isContentLine, parseContentLines } from './content-lines.js';
import { AuditError } from './errors.js';
import { FrameReader, jsonFrame, parseText, textFrame } from './frames.js';
import { parseFind, parseHello, parseObject } from './hello.js';
import { messageBytesMax, messagesMax } from './hook.js';
import { parseQuestion, type Question } from './question.js';
import {
  type AnswerMessage,
  type FindEntry,
  type Found,
  findEntriesMax,
  foundPerFrame,
  fromDoor,
  type Hello,
  listedPerFrame,
  toDoor,
  type Welcome,
} from './relay-messages.js';
import { type Outcome, type PlainError, toPlainError } from './thread-messages.js';

/** What a guest may have waiting here before it is not read any more. */
const queueBytesMax = 256 * 1024;
/** Checkpoints and the like it may ask for before it is not read any more. */
const questionsMax = 64;
/** Answers it may leave unread before it is not read any more … */
const backlogBytesMax = 64 * 1024;
/** … and how long it may leave them so before it is sent away. */
const stallMs = 10_000;
/** How long it may take to read the last word. */
const leaveMs = 250;
/** What one guest may hand in before the next has its turn. */
const turn = { records: 64, bytes: 64 * 1024 };

const newline = Buffer.from('\n');

/** What a guest asks of the door. */
export interface Host {
  hello(guest: Guest, hello: Hello): void;
  /** The guest has records waiting for its turn. */
  hungry(guest: Guest): void;
  find(guest: Guest, after: number, entries: readonly FindEntry[]): void;
  ask(guest: Guest, id: number, question: Question): void;
  consult(guest: Guest, id: number, message: string): void;
  /** A guest has read what it was told. */
  reads(): void;
  /** `clean`: the guest said that it does not come again. */
  left(guest: Guest, clean: boolean): void;
}

/** Takes what guests hand in on their turns. */
export interface Batch {
  /** `contents`: its content lines without the newline of the last; undefined where it has none. */
  add(guest: Guest, body: Buffer, contents: Buffer | undefined): void;
}

/** Records in the order in which they were handed in, not answered yet. */
interface Run {
  count: number;
  /** They were refused here and never reached the writer. */
  readonly error: PlainError | undefined;
}

/** One connected client, as far as it may be trusted: not at all. */
export class Guest {
  readonly #socket: Socket;
  readonly #host: Host;
  readonly since = performance.now();
  client = '';
  pid = 0;
  /** The emitter its token proves. */
  emitter: string | undefined;
  /** The hash of its token, in hex. */
  tokenHash: string | undefined;
  #welcomed = false;
  #gone = false;
  #queue: Buffer[] = [];
  #at = 0;
  #queuedBytes = 0;
  #runs: Run[] = [];
  #entries: FindEntry[] = [];
  #finding = false;
  #questions = 0;
  /** The bytes of each message that is not answered yet, by its number. */
  readonly #messages = new Map<number, number>();
  #messageBytes = 0;
  #messagesTaken = 0;
  #contents: Buffer[] = [];
  #contentBytes = 0;
  #stalledSince: number | undefined;

  constructor(socket: Socket, host: Host) {
    this.#socket = socket;
    this.#host = host;
    const reader = new FrameReader((kind, payload) => this.#take(kind, payload));
    socket.on('data', (chunk: Buffer) => {
      if (this.#gone) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.refuse(toPlainError(error));
      }
    });
    socket.on('drain', () => {
      this.#regulate();
      if (!this.#gone) host.reads();
    });
    socket.on('error', () => this.drop());
    socket.on('close', () => this.drop());
    socket.on('end', () => this.drop());
  }

  get gone(): boolean {
    return this.#gone;
  }

  get isWelcomed(): boolean {
    return this.#welcomed;
  }

  /** Whether the guest waits for something, and must hear that the writer is there. */
  get waits(): boolean {
    const asks = this.#finding || this.#questions > 0 || this.#messages.size > 0;
    return !this.#welcomed || this.#runs.length > 0 || this.isHungry || asks;
  }

  get isHungry(): boolean {
    return this.#queue.length > 0 && !this.#gone;
  }

  get isDeaf(): boolean {
    return this.#socket.writableLength > backlogBytesMax;
  }

  /** Whether its answers have been left unread for too long. */
  isStalled(nowMs: number): boolean {
    return this.#stalledSince !== undefined && nowMs - this.#stalledSince > stallMs;
  }

  #take(kind: number, payload: Buffer): void {
    if (this.#gone) return;
    if (!this.#welcomed) {
      if (kind !== toDoor.hello || this.client !== '') throw outOfTurn();
      const hello = parseHello(payload);
      this.client = hello.client;
      this.pid = hello.pid;
      this.#host.hello(this, hello);
      return;
    }
    if (kind === toDoor.append) this.#takeAppend(payload);
    else if (kind === toDoor.find) this.#takeFind(payload);
    else if (kind === toDoor.ask) this.#takeQuestion(payload);
    else if (kind === toDoor.consult) this.#takeMessage(payload);
    else if (kind === toDoor.leave) this.drop(true);
    else throw outOfTurn();
  }

  #takeAppend(payload: Buffer): void {
    if (this.#finding || payload.at(-1) !== 10 || !isUtf8(payload)) throw outOfTurn();
    this.#queue.push(payload);
    this.#queuedBytes += payload.length;
    this.#regulate();
    this.#host.hungry(this);
  }

  #takeFind(payload: Buffer): void {
    const { after, entries, last } = parseFind(payload);
    if (this.#finding || this.#entries.length + entries.length > findEntriesMax) throw outOfTurn();
    this.#entries.push(...entries);
    if (!last) return;
    const all = this.#entries;
    this.#entries = [];
    this.#finding = true;
    this.#host.find(this, after, all);
  }

  #takeQuestion(payload: Buffer): void {
    const { id, ...said } = parseObject(payload);
    const question = parseQuestion(said);
    if (!Number.isSafeInteger(id) || question === undefined) throw outOfTurn();
    this.#questions++;
    this.#host.ask(this, Number(id), question);
  }

  #takeMessage(payload: Buffer): void {
    const { id, text } = parseText(payload, messageBytesMax);
    if (this.#messages.has(id)) throw outOfTurn();
    this.#messagesTaken++;
    this.#messages.set(id, payload.length);
    this.#messageBytes += payload.length;
    this.#regulate();
    this.#host.consult(this, id, text);
  }

  /** Moves what one turn allows from its queue to the batch; what cannot be recorded is refused here. */
  takeTurn(batch: Batch): void {
    let { records, bytes } = turn;
    while (records > 0 && bytes > 0 && this.#queue.length > 0) {
      const frame = this.#queue[0]!;
      const end = frame.indexOf(10, this.#at);
      const body = frame.subarray(this.#at, end);
      if (isContentLine(body)) this.#takeContent(body);
      else this.#takeBody(body, batch);
      if (this.#gone) return;
      records--;
      bytes -= body.length;
      this.#at = end + 1;
      if (this.#at === frame.length) {
        this.#queue.shift();
        this.#queuedBytes -= frame.length;
        this.#at = 0;
      }
    }
    this.#tell([]);
    this.#regulate();
  }

  /** Content lines wait for their body, which may be in the next frame. */
  #takeContent(line: Buffer): void {
    this.#contentBytes += line.length + 1;
    if (this.#contentBytes > contentLinesBytesMax) this.refuse(toPlainError(outOfTurn()));
    else this.#contents.push(line);
  }

  /** What was gathered, and begins anew. */
  #gathered(): Buffer | undefined {
    if (this.#contents.length === 0) return undefined;
    const lines = Buffer.concat(this.#contents.flatMap((line) => [line, newline])).subarray(0, -1);
    this.#contents = [];
    this.#contentBytes = 0;
    return lines;
  }

  #takeBody(body: Buffer, batch: Batch): void {
    const contents = this.#gathered();
    try {
      if (contents !== undefined) parseContentLines(contents);
      checkBody(body.toString('utf8'), body.length, this.emitter);
    } catch (error) {
      this.#runs.push({ count: 1, error: toPlainError(error) });
      return;
    }
    const last = this.#runs.at(-1);
    if (last !== undefined && last.error === undefined) last.count++;
    else this.#runs.push({ count: 1, error: undefined });
    batch.add(this, body, contents);
  }

  /** What became of the oldest records that reached the writer. */
  settle(outcome: Outcome): void {
    const told: Outcome[] = [];
    let done = 0;
    while (done < outcome.count && this.#runs.length > 0) {
      const run = this.#runs[0]!;
      if (run.error !== undefined) {
        told.push({ count: run.count, error: run.error });
        this.#runs.shift();
        continue;
      }
      const count = Math.min(run.count, outcome.count - done);
      told.push(
        'error' in outcome ? { ...outcome, count } : { firstSeq: outcome.firstSeq + done, count },
      );
      run.count -= count;
      done += count;
      if (run.count === 0) this.#runs.shift();
    }
    this.#tell(told);
  }

  /** Tells outcomes, and what was refused right behind them. */
  #tell(told: Outcome[]): void {
    while (this.#runs[0]?.error !== undefined) {
      const { count, error } = this.#runs.shift()!;
      told.push({ count, error: error! });
    }
    if (told.length > 0) this.#send(fromDoor.outcomes, { outcomes: told });
  }

  found(found: readonly Found[]): void {
    this.#finding = false;
    for (let at = 0; at < found.length; at += foundPerFrame) {
      const part = found.slice(at, at + foundPerFrame);
      this.#send(fromDoor.found, { found: part, last: at + part.length === found.length });
    }
    if (found.length === 0) this.#send(fromDoor.found, { found: [], last: true });
  }

  answer(message: AnswerMessage): void {
    this.#questions--;
    const { id, answer } = message;
    if (!Array.isArray(answer) || answer.length <= listedPerFrame) {
      this.#send(fromDoor.answer, message);
      return;
    }
    for (let at = 0; at < answer.length; at += listedPerFrame) {
      const part = answer.slice(at, at + listedPerFrame);
      this.#send(fromDoor.answer, { id, answer: part, more: at + part.length < answer.length });
    }
  }

  /** What the hook said to a message. */
  consulted(id: number, answer: string): void {
    this.#settleMessage(id);
    this.#write(textFrame(fromDoor.consulted, id, answer));
  }

  /** The hook said nothing: because of an error, or because the message was not considered. */
  notConsulted(id: number, error?: PlainError): void {
    this.#settleMessage(id);
    this.#send(fromDoor.notConsulted, { id, error });
  }

  #settleMessage(id: number): void {
    this.#messageBytes -= this.#messages.get(id) ?? 0;
    this.#messages.delete(id);
  }

  welcome(welcome: Welcome): void {
    this.#welcomed = true;
    this.#send(fromDoor.welcome, welcome);
  }

  alive(): void {
    if (this.#socket.writableLength < backlogBytesMax) this.#send(fromDoor.alive, {});
  }

  /** Says why and lets go. */
  refuse(error: PlainError): void {
    void this.#leave(jsonFrame(fromDoor.refused, { error }));
  }

  /** The writer ends; everything not answered is to be asked for again. Resolves when the guest has gone. */
  goodbye(clean: boolean): Promise<void> {
    return this.#leave(jsonFrame(fromDoor.goodbye, { clean, messages: this.#messagesTaken }));
  }

  #leave(last: Buffer): Promise<void> {
    if (this.#gone) return Promise.resolve();
    this.#forget(false);
    const socket = this.#socket;
    socket.end(last);
    socket.resume();
    const patience = setTimeout(() => socket.destroy(), leaveMs);
    return new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(patience);
        resolve();
      });
    });
  }

  /** Lets go of the connection; what has not reached the writer never will. */
  drop(clean = false): void {
    this.#socket.destroy();
    if (!this.#gone) this.#forget(clean);
  }

  #forget(clean: boolean): void {
    this.#gone = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#contents = [];
    this.#entries = [];
    this.#host.left(this, clean);
  }

  #send(kind: number, message: object): void {
    this.#write(jsonFrame(kind, message));
  }

  #write(frame: Buffer): void {
    if (this.#gone) return;
    this.#socket.write(frame);
    this.#regulate();
  }

  /** A guest that hands in faster than it is served, or does not read its answers, is not read. */
  #regulate(): void {
    if (this.#gone) return;
    const unread = this.isDeaf;
    if (!unread) this.#stalledSince = undefined;
    else this.#stalledSince ??= performance.now();
    const full =
      this.#queuedBytes + this.#messageBytes > queueBytesMax ||
      this.#questions > questionsMax ||
      this.#messages.size > messagesMax;
    if (full || unread) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }
}

function outOfTurn(): AuditError {
  return new AuditError('protocol_mismatch', 'what was received is not of this protocol');
}
