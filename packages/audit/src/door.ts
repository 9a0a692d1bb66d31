import * as fs from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import * as path from 'node:path';
import { Consultations } from './consultations.js';
import { AuditError, reasonOf } from './errors.js';
import { Guest, type Host } from './guest.js';
import { type FileIdentity, isStill } from './lock.js';
import type { Question } from './question.js';
import {
  type AnswerMessage,
  aliveMs,
  type FindEntry,
  type Hello,
  protocolVersion,
  type Welcome,
} from './relay-messages.js';
import { findRecords } from './resend.js';
import { checkNamedSocket, prepareSocketFolder } from './socket-place.js';
import {
  type DoorThreadData,
  type FromWriter,
  type LogFacts,
  type Outcome,
  type ToWriter,
  toPlainError,
} from './thread-messages.js';
import { type KnownToken, matchToken, readTokens } from './tokens.js';
import { type Handed, WriterBatch } from './writer-batch.js';

const guestsMax = 512;
/** Connections that have not said hello. */
const speechlessMax = 64;
/** Connections that one token may have at a time. */
const guestsPerEmitterMax = 64;
const helloMs = 5_000;
/** What the writer may be given before it has answered; the in-process log's own queue is apart. */
const outstanding = { records: 8_192, bytes: 2 * 1024 * 1024 };
/** What goes to the writer in one message, besides the turn that crosses the bound. */
const messageBytes = 256 * 1024;
/** Turns given before the event loop has its own. */
const turnsMax = 64;

interface Asker {
  readonly guest: Guest;
  /** The guest's own number of the question. */
  readonly id: number;
}

/** What a token does not allow, and how it is called. */
const beyondToken: ReadonlyMap<Question['ask'], string> = new Map([
  ['rotate', 'rotating'],
  ['prune', 'deleting'],
  ['erase', 'erasing'],
]);

export interface DoorEvents {
  /** Nobody can be let in any more. */
  failed(error: AuditError): void;
  /** All are sent away, and the socket is removed. */
  left(): void;
}

/**
 * Where other processes come in to the writer that this process has. It runs on a thread of its own, so that neither the
 * program around the log nor the disk keeps it from answering. Guests take turns, and each is read only as fast as its
 * records are written and its answers taken.
 */
export class Door implements Host {
  readonly #data: DoorThreadData;
  readonly #consultations: Consultations;
  readonly #events: DoorEvents;
  readonly #guests = new Set<Guest>();
  readonly #byClient = new Map<string, Guest>();
  /** Who has records waiting, in the order of their turns. */
  readonly #hungry = new Set<Guest>();
  readonly #waitingHellos = new Map<Guest, Hello>();
  readonly #settling: { readonly total: number; readonly resolve: () => void }[] = [];
  #facts: LogFacts | undefined;
  #server: Server | undefined;
  #identity: FileIdentity | undefined;
  #ticking: NodeJS.Timeout | undefined;
  #handed: Handed[] = [];
  #handedRecords = 0;
  #handedBytes = 0;
  #handedTotal = 0;
  #settledTotal = 0;
  #pumping = false;
  #searching: Promise<unknown> = Promise.resolve();
  #askedId = 0;
  /** Who asked the questions that the writer has. */
  readonly #asked = new Map<number, readonly Asker[]>();
  /** The checkpoint that is being made … */
  #checkpointId: number | undefined;
  /** … and who asked for one since; undefined while none is made. */
  #checkpointNext: Asker[] | undefined;
  #tokens: { readonly known: readonly KnownToken[]; readonly stamp: string } | undefined;
  #closing = false;

  constructor(data: DoorThreadData, events: DoorEvents) {
    this.#data = data;
    this.#events = events;
    this.#consultations = new Consultations(data.hook.port, data.hook.claims);
    data.port.on('message', (message: FromWriter) => this.#receive(message));
  }

  /** Resolves when clients can connect. */
  async open(): Promise<void> {
    this.#refreshTokens();
    await this.#listen();
    this.#ticking = setInterval(() => this.#tick(), aliveMs);
  }

  /** Makes the socket under another name and moves it in place, so that what stands there was listening from the start. */
  async #listen(): Promise<void> {
    const { socket, ownFolder, group } = this.#data.door;
    if (ownFolder) prepareSocketFolder(socket);
    else if (await answers(checkNamedSocket(socket))) {
      throw new AuditError('bad_socket', `another process listens at ${socket}; choose another`);
    }
    const temporary = `${socket}~`;
    fs.rmSync(temporary, { force: true });
    const server = createServer((connection) => {
      if (this.#closing) connection.destroy();
      else this.#letIn(connection);
    });
    server.maxConnections = guestsMax;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(temporary, 511, resolve);
    });
    server.on('error', (error) => this.#events.failed(cannotListen(socket, error)));
    fs.chmodSync(temporary, group === undefined ? 0o600 : 0o660);
    if (group !== undefined) fs.chownSync(temporary, process.geteuid?.() ?? -1, group);
    fs.renameSync(temporary, socket);
    const { dev: device, ino: inode } = fs.lstatSync(socket);
    this.#identity = { file: socket, device, inode };
    this.#server?.close();
    this.#server = server;
  }

  /** Who connects and says nothing makes room for who does. */
  #letIn(connection: Socket): void {
    this.#guests.add(new Guest(connection, this));
    const speechless = [...this.#guests].filter((guest) => guest.client === '');
    if (speechless.length > speechlessMax) speechless[0]?.drop();
  }

  #tick(): void {
    const now = performance.now();
    for (const guest of [...this.#guests]) {
      if (!guest.isWelcomed && guest.client === '' && now - guest.since > helloMs) guest.drop();
      else if (guest.isStalled(now)) guest.drop();
      else if (guest.waits && guest.client !== '') guest.alive();
    }
    this.#consultations.look(now);
    if (!isStill(this.#data.lock)) this.#post({ kind: 'look' });
    this.#dropRevoked();
    if (this.#identity === undefined || isStill(this.#identity)) return;
    // Somebody deleted the socket or put something in its place; one attempt at a time.
    this.#identity = undefined;
    this.#listen().catch((error: unknown) => {
      this.#events.failed(cannotListen(this.#data.door.socket, error));
    });
  }

  #receive(message: FromWriter): void {
    switch (message.kind) {
      case 'ready':
        this.#facts = message;
        for (const [guest, hello] of this.#waitingHellos) this.#welcome(guest, hello);
        this.#waitingHellos.clear();
        break;
      case 'outcomes':
        for (const outcome of message.outcomes) this.#settle(outcome);
        this.#pumpSoon();
        break;
      case 'answer':
        this.#answer(message.id, { answer: message.answer });
        break;
      case 'answer_failed':
        this.#answer(message.id, { error: message.error });
        break;
      case 'closed':
        void this.close(message.error === undefined);
        break;
      case 'failed':
      case 'refused':
        void this.close(false);
    }
  }

  // What guests ask for.

  hello(guest: Guest, hello: Hello): void {
    try {
      this.#identify(guest, hello);
    } catch (error) {
      guest.refuse(toPlainError(error));
      return;
    }
    if (this.#facts === undefined) {
      this.#waitingHellos.set(guest, hello);
      guest.alive();
    } else this.#welcome(guest, hello);
  }

  #identify(guest: Guest, hello: Hello): void {
    if (this.#data.door.tokenFile === undefined) return;
    this.#refreshTokens();
    const match = matchToken(hello.token ?? '', this.#tokens?.known ?? []);
    if (match === undefined) {
      const what = hello.token === undefined ? 'asks for a token' : 'does not know this token';
      throw new AuditError('bad_token', `the log's writer (process ${process.pid}) ${what}`);
    }
    const others = [...this.#guests].filter((other) => other.emitter === match.emitter);
    if (others.length >= guestsPerEmitterMax) {
      throw new AuditError(
        'log_unavailable',
        `${match.emitter} has ${guestsPerEmitterMax} connections to the log already`,
      );
    }
    guest.emitter = match.emitter;
    guest.tokenHash = match.hash.toString('hex');
  }

  #welcome(guest: Guest, hello: Hello): void {
    if (guest.gone || this.#facts === undefined) return;
    // The same client on a new connection: what it had on the old one it asks for again.
    const name = `${guest.emitter ?? ''} ${hello.client}`;
    this.#byClient.get(name)?.drop();
    this.#byClient.set(name, guest);
    const known = this.#consultations.came(guest);
    const { origin, publicKey, initialKeyFile, content } = this.#facts;
    const welcome: Welcome = {
      protocol: protocolVersion,
      pid: process.pid,
      host: this.#data.hook.host,
      known,
      origin,
      publicKey,
      content,
      ...(initialKeyFile === undefined
        ? {}
        : {
            // Who has only the socket need not know where the keys lie.
            initialKeyFile:
              guest.emitter === undefined ? initialKeyFile : path.basename(initialKeyFile),
          }),
      durability: this.#data.options.durability,
      size: Number(Atomics.load(this.#data.size, 0)),
      ...(guest.emitter === undefined ? {} : { emitter: guest.emitter }),
    };
    guest.welcome(welcome);
  }

  hungry(guest: Guest): void {
    this.#hungry.add(guest);
    this.#pumpSoon();
  }

  find(guest: Guest, after: number, entries: readonly FindEntry[]): void {
    const own = guest.emitter;
    const asked =
      own === undefined ? entries : entries.map(([id, digest]) => [id, digest, own] as const);
    // What this client handed in over an earlier connection must be settled before its absence means anything.
    const settled = this.#settledUpTo(this.#handedTotal);
    // One search at a time, so that searching takes no more than its share from writing.
    this.#searching = Promise.all([this.#searching, settled]).then(async () => {
      if (guest.gone) return;
      try {
        guest.found(await findRecords(this.#data.options, after, asked));
      } catch (error) {
        guest.refuse(toPlainError(error));
      }
    });
  }

  /**
   * Who has a token only appends: a new segment costs files, and over what others recorded he has no say. Whoever asks for a
   * checkpoint while one is made gets the next one, all of them the same.
   */
  ask(guest: Guest, id: number, question: Question): void {
    const beyond = beyondToken.get(question.ask);
    if (guest.emitter !== undefined && beyond !== undefined) {
      const error = new AuditError('bad_token', `a token is for appending, not for ${beyond}`);
      guest.answer({ id, error: toPlainError(error) });
      return;
    }
    if (question.ask !== 'checkpoint') this.#askWriter([{ guest, id }], question);
    else if (this.#checkpointNext !== undefined) this.#checkpointNext.push({ guest, id });
    else this.#askCheckpoint([{ guest, id }]);
  }

  #askCheckpoint(askers: readonly Asker[]): void {
    this.#checkpointNext = [];
    this.#checkpointId = this.#askWriter(askers, { ask: 'checkpoint' });
  }

  #askWriter(askers: readonly Asker[], question: Question): number {
    const id = this.#askedId++;
    this.#asked.set(id, askers);
    this.#post({ kind: 'ask', id, question });
    return id;
  }

  #answer(own: number, said: Omit<AnswerMessage, 'id'>): void {
    const askers = this.#asked.get(own) ?? [];
    this.#asked.delete(own);
    for (const { guest, id } of askers) guest.answer({ id, ...said });
    if (own !== this.#checkpointId) return;
    const next = this.#checkpointNext ?? [];
    this.#checkpointNext = undefined;
    this.#checkpointId = undefined;
    if (next.length > 0) this.#askCheckpoint(next);
  }

  consult(guest: Guest, id: number, message: string): void {
    this.#consultations.take(guest, id, message);
  }

  reads(): void {
    this.#consultations.pump();
  }

  left(guest: Guest, clean: boolean): void {
    this.#consultations.left(guest, clean);
    this.#guests.delete(guest);
    this.#hungry.delete(guest);
    this.#waitingHellos.delete(guest);
    const name = `${guest.emitter ?? ''} ${guest.client}`;
    if (this.#byClient.get(name) === guest) this.#byClient.delete(name);
  }

  // The way to the writer and back.

  /** What arrives in one turn of the event loop goes to the writer together. */
  #pumpSoon(): void {
    if (this.#pumping || this.#hungry.size === 0) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#closing || !this.#hasRoom()) return;
    const batch = new WriterBatch();
    // What is refused does not fill the batch, so the turns are counted too.
    for (let turns = 0; turns < turnsMax && batch.bytes < messageBytes; turns++) {
      const guest = this.#hungry.values().next().value;
      if (guest === undefined) break;
      guest.takeTurn(batch);
      this.#hungry.delete(guest);
      if (guest.isHungry) this.#hungry.add(guest);
    }
    if (batch.count > 0) this.#hand(batch);
    this.#pumpSoon();
  }

  #hasRoom(): boolean {
    const { records, bytes } = outstanding;
    return this.#handedRecords < records && this.#handedBytes < bytes;
  }

  #hand(batch: WriterBatch): void {
    for (const run of batch.handed) {
      this.#handed.push(run);
      this.#handedBytes += run.bytes;
    }
    this.#handedRecords += batch.count;
    this.#handedTotal += batch.count;
    const joined = batch.joined();
    this.#post({ kind: 'append', batch: joined, count: batch.count }, [joined.buffer]);
  }

  #post(message: ToWriter, transfer: ArrayBuffer[] = []): void {
    const { port, signal } = this.#data;
    port.postMessage(message, transfer);
    Atomics.add(signal, 0, 1);
    Atomics.notify(signal, 0);
  }

  #settle(outcome: Outcome): void {
    let done = 0;
    while (done < outcome.count) {
      const run = this.#handed[0]!;
      const count = Math.min(run.count, outcome.count - done);
      const part =
        'error' in outcome ? { ...outcome, count } : { firstSeq: outcome.firstSeq + done, count };
      run.guest.settle(part);
      run.count -= count;
      done += count;
      if (run.count > 0) break;
      this.#handedBytes -= run.bytes;
      this.#handed.shift();
    }
    this.#handedRecords -= outcome.count;
    this.#settledTotal += outcome.count;
    while (this.#settling.length > 0 && this.#settling[0]!.total <= this.#settledTotal) {
      this.#settling.shift()!.resolve();
    }
  }

  #settledUpTo(total: number): Promise<void> {
    if (this.#settledTotal >= total) return Promise.resolve();
    return new Promise((resolve) => this.#settling.push({ total, resolve }));
  }

  // Tokens: the file may change while we run, and who is taken out of it is out.

  #refreshTokens(): void {
    const { tokenFile } = this.#data.door;
    if (tokenFile === undefined) return;
    const stat = fs.statSync(tokenFile, { throwIfNoEntry: false });
    const stamp = `${stat?.ino} ${stat?.mtimeMs} ${stat?.size} ${stat?.mode}`;
    if (this.#tokens?.stamp === stamp) return;
    this.#tokens = { known: [], stamp: '' };
    this.#tokens = { known: readTokens(tokenFile), stamp };
  }

  #dropRevoked(): void {
    if (this.#data.door.tokenFile === undefined) return;
    try {
      this.#refreshTokens();
    } catch {
      // A file that cannot be read or trusted names nobody; whoever says hello is told so.
    }
    const known = new Set(this.#tokens?.known.map(({ hash }) => hash.toString('hex')));
    for (const guest of [...this.#guests]) {
      if (guest.tokenHash !== undefined && !known.has(guest.tokenHash)) {
        guest.refuse(toPlainError(new AuditError('bad_token', 'this token is not valid any more')));
      }
    }
  }

  /** Sends everybody away and removes the socket. Clean: the log was closed, and nothing waits to be taken over. */
  async close(clean: boolean): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#ticking);
    await this.#consultations.close();
    const leaving = [...this.#guests].map((guest) => guest.goodbye(clean));
    this.#server?.close();
    if (this.#identity !== undefined && isStill(this.#identity)) {
      fs.rmSync(this.#identity.file, { force: true });
    }
    this.#data.port.close();
    await Promise.all(leaving);
    this.#events.left();
  }
}

/** Whether somebody takes connections there. */
function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

function cannotListen(socket: string, error: unknown): AuditError {
  if (error instanceof AuditError) return error;
  return new AuditError(
    'bad_socket',
    `other processes cannot be let in at ${socket}: ${reasonOf(error)}`,
    { cause: error },
  );
}
