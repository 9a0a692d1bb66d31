import { randomBytes } from 'node:crypto';
import type { Connection, Parting } from './connection.js';
import { AuditError } from './errors.js';
import { parseObject } from './hello.js';
import { Holder } from './holder.js';
import type { Consulted } from './hook.js';
import type { Link, LinkListener, OwnBytes } from './link.js';
import type { LogTarget, WriterOptions } from './options.js';
import { Outbox } from './outbox.js';
import type { Answer, Question } from './question.js';
import { reachServed, reachWriter } from './reach.js';
import {
  type AnswerMessage,
  type FindEntry,
  type Found,
  type FoundMessage,
  findEntriesMax,
  findEntriesPerFrame,
  fromDoor,
  type Hello,
  type OutcomesMessage,
  protocolVersion,
  toDoor,
} from './relay-messages.js';
import { entryOf, findRecords } from './resend.js';
import { bodiesOf, bodyOf, cutToFrames, framesOf, type Run, runOf, runOfBody } from './runs.js';
import {
  type FromWriter,
  type LogFacts,
  type Outcome,
  type ToWriter,
  toPlainError,
} from './thread-messages.js';

/** A writer that was killed is replaced even if nobody has anything to say; who does comes first. */
const takeOverMs = { least: 100, most: 300 };

/** A client that the hook knows looks for a writer that does not answer this often. */
const comeAgainMs = { least: 300, most: 700 };

type Asking = Extract<ToWriter, { kind: 'ask' }>;
type Answering = Extract<FromWriter, { id: number }>;

/** A name for whoever opens a log. */
export function newClient(): string {
  return randomBytes(16).toString('hex');
}

/** The writer of a log, wherever it is. */
export async function openLink(target: LogTarget): Promise<Link> {
  const hello = {
    protocol: protocolVersion,
    client: newClient(),
    pid: process.pid,
    ...(target.kind === 'served' && target.token !== undefined ? { token: target.token } : {}),
  };
  const writer = await reach(target, hello, false);
  return writer instanceof Holder ? writer : new Relay(target, hello, writer);
}

function reach(target: LogTarget, hello: Hello, takingOver: boolean): Promise<Holder | Connection> {
  if (target.kind === 'own') return reachWriter(target.options, hello, takingOver, target.hook);
  return reachServed(target.socket, hello);
}

/**
 * A link to the writer in another process. When that one ends or dies, this process finds the next, or becomes it, and
 * hands in again what was not answered, after asking what became of it. Until an answer has come, a record is kept.
 */
class Relay implements Link {
  readonly facts: LogFacts;
  readonly emitter: string | undefined;
  readonly #target: LogTarget;
  readonly #hello: Hello;
  #listener: LinkListener | undefined;
  #connection: Connection | undefined;
  /** Once this process has become the writer. */
  #own: Holder | undefined;
  /** Appends wait here until `#resume` has handed in what was in flight. */
  #resuming = false;
  #seeking = false;
  #runs: Run[] = [];
  /** What is not answered yet stands behind this record, if it is in the log. */
  #after = -1;
  /** What is asked again of the next writer when it was not answered. */
  readonly #asked = new Map<number, Question>();
  /** Messages for the hook of another process. */
  readonly #outbox = new Outbox();
  /** The last host that was found. */
  #host: string;
  /** The beginnings of lists whose rest has not come. */
  readonly #lists = new Map<number, unknown[]>();
  #found: Found[] = [];
  #onFound: ((found: Found[]) => void) | undefined;
  #takeOver: NodeJS.Timeout | undefined;
  #closing = false;
  #ended = false;
  #refed = true;

  constructor(target: LogTarget, hello: Hello, connection: Connection) {
    this.#target = target;
    this.#hello = hello;
    const { origin, publicKey, initialKeyFile, content, emitter } = connection.welcome;
    this.facts = { origin, publicKey, initialKeyFile, content };
    this.emitter = emitter;
    this.#host = connection.host;
    this.#join(connection);
    this.#outbox.open(connection);
  }

  get isOwn(): boolean {
    return this.#own !== undefined;
  }

  get host(): string {
    return this.#host;
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
  }

  consult(message: string): Promise<Consulted> {
    if (this.#own !== undefined && !this.#resuming) return this.#own.consult(message);
    const consulted = this.#outbox.consult(message);
    this.#settleDown();
    return consulted;
  }

  send(message: ToWriter): void {
    if (this.#ended) return;
    switch (message.kind) {
      case 'append':
        this.#append(message.batch as OwnBytes, message.count);
        break;
      case 'ask':
        if (message.question.ask === 'keys') this.#askKeys(message);
        else {
          this.#asked.set(message.id, message.question);
          if (!this.#resuming) this.#ask(message.id, message.question);
        }
        break;
      case 'close':
        this.#closing = true;
        this.#closeWhenDone();
        break;
      case 'look':
    }
    this.#settleDown();
  }

  ref(): void {
    this.#refed = true;
    this.#connection?.ref();
    this.#own?.ref();
  }

  unref(): void {
    this.#refed = false;
    this.#connection?.unref();
    this.#own?.unref();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#takeOver);
    this.#connection?.end();
    this.#own?.end();
  }

  get #owes(): boolean {
    return this.#runs.length > 0 || this.#asked.size > 0 || this.#outbox.owes;
  }

  // Handing in.

  #append(bodies: OwnBytes, count: number): void {
    if (this.#own !== undefined && !this.#resuming) {
      // Only while older records wait for answers of their own must the order be kept here.
      if (this.#runs.length > 0) this.#runs.push(runOf(undefined, count));
      this.#own.send({ kind: 'append', batch: bodies, count });
      return;
    }
    for (const run of cutToFrames(bodies, count)) {
      this.#runs.push(run);
      if (this.#connection !== undefined && !this.#resuming) this.#hand(run, this.#connection);
    }
  }

  #hand(run: Run, connection: Connection): void {
    run.sent = true;
    for (const part of framesOf(run.bodies!)) connection.append(part);
  }

  #ask(id: number, question: Question): void {
    this.#connection?.say(toDoor.ask, { id, ...question });
    this.#own?.send({ kind: 'ask', id, question });
  }

  /** Keys are changed by the process that writes the log, and by no other that may append to it. */
  #askKeys(request: Asking): void {
    if (this.#own !== undefined && !this.#resuming) {
      this.#own.send(request);
      return;
    }
    const pid = this.#connection?.welcome.pid;
    const error = new AuditError(
      'log_locked',
      `${pid === undefined ? 'another process' : `process ${pid}`} writes the log, and only the writer changes its keys`,
    );
    const answer = { kind: 'answer_failed', id: request.id, error: toPlainError(error) } as const;
    process.nextTick(() => this.#listener?.receive(answer));
  }

  /** After each step: is the writer to be watched, looked for, or is everything done? */
  #settleDown(): void {
    this.#connection?.watch(this.#owes);
    if (this.#owes && this.#connection === undefined && this.#own === undefined) void this.#seek();
    this.#closeWhenDone();
  }

  /** The log stays open for others; a writer of our own is closed as any is. */
  #closeWhenDone(): void {
    if (!this.#closing || this.#ended || this.#resuming || this.#seeking) return;
    if (this.#own !== undefined) {
      this.#closing = false;
      this.#own.send({ kind: 'close' });
    } else if (!this.#owes) {
      this.#ended = true;
      clearTimeout(this.#takeOver);
      // Later, as every answer comes.
      process.nextTick(() => this.#listener?.receive({ kind: 'closed', error: undefined }));
    }
  }

  // Answers.

  #take(kind: number, payload: Buffer): void {
    if (this.#outbox.take(kind, payload)) {
      this.#settleDown();
      return;
    }
    const message: unknown = parseObject(payload);
    if (kind === fromDoor.outcomes) {
      for (const outcome of (message as OutcomesMessage).outcomes) this.#settle(outcome);
    } else if (kind === fromDoor.found) {
      const { found, last } = message as FoundMessage;
      this.#found.push(...found);
      if (last) this.#onFound?.(this.#found.splice(0));
    } else if (kind === fromDoor.answer) {
      this.#takeAnswer(message as AnswerMessage);
    }
    this.#settleDown();
  }

  #takeAnswer({ id, answer, error, more = false }: AnswerMessage): void {
    if (error !== undefined) {
      this.#answer({ kind: 'answer_failed', id, error });
      return;
    }
    const before = this.#lists.get(id) ?? [];
    const whole = Array.isArray(answer) ? [...before, ...(answer as unknown[])] : answer;
    if (more && Array.isArray(whole)) this.#lists.set(id, whole);
    else this.#answer({ kind: 'answer', id, answer: whole as Answer });
  }

  #answer(message: Answering): void {
    this.#lists.delete(message.id);
    this.#asked.delete(message.id);
    this.#listener?.receive(message);
  }

  /** What the writer says is of the oldest records it was given; in front of them stands nothing known. */
  #settle(outcome: Outcome): void {
    let done = 0;
    while (done < outcome.count) {
      const run = this.#runs[0];
      const count = Math.min(outcome.count - done, run ? run.count - run.settled : outcome.count);
      this.#tell(
        'error' in outcome ? { ...outcome, count } : { firstSeq: outcome.firstSeq + done, count },
      );
      done += count;
      if (run === undefined) break;
      run.settled += count;
      if (run.settled === run.count) this.#runs.shift();
      this.#tellKnown();
    }
    if ('firstSeq' in outcome) this.#after = outcome.firstSeq + outcome.count - 1;
  }

  #tellKnown(): void {
    for (let run = this.#runs[0]; run?.known !== undefined; run = this.#runs[0]) {
      this.#tell(run.known);
      this.#runs.shift();
    }
  }

  #tell(outcome: Outcome): void {
    this.#listener?.receive({ kind: 'outcomes', outcomes: [outcome] });
  }

  // When the writer goes.

  #join(connection: Connection): void {
    this.#connection = connection;
    connection.listen({
      message: (kind, payload) => this.#take(kind, payload),
      parted: (how) => this.#part(how),
    });
    if (!this.#refed) connection.unref();
    if (!this.#runs.some((run) => run.sent)) this.#after = connection.welcome.size - 1;
  }

  #part(how: Parting): void {
    const { pid, messagesRead } = this.#connection ?? {};
    this.#connection = undefined;
    this.#lists.clear();
    this.#found = [];
    this.#onFound?.([]);
    this.#outbox.lose(pid, messagesRead);
    if (this.#ended) return;
    if (how instanceof AuditError) this.#die(how);
    else if (how === 'silent') this.#giveUp(silent(pid));
    else if (this.#owes) void this.#seek();
    else if (how === 'lost' || this.#outbox.isKnown) this.#takeOverSoon();
    this.#closeWhenDone();
  }

  /** A dead writer leaves records without a checkpoint; somebody has to take the log up. */
  #takeOverSoon(): void {
    if (this.#target.kind === 'own' || this.#outbox.isKnown) this.#seekIn(takeOverMs);
  }

  #seekIn({ least, most }: typeof takeOverMs): void {
    if (this.#closing) return;
    clearTimeout(this.#takeOver);
    this.#takeOver = setTimeout(
      () => void this.#seek(),
      least + Math.random() * (most - least),
    ).unref();
  }

  async #seek(): Promise<void> {
    if (this.#seeking || this.#ended) return;
    clearTimeout(this.#takeOver);
    this.#seeking = true;
    let writer: Holder | Connection | undefined;
    try {
      writer = await reach(this.#target, this.#hello, true);
    } catch (error) {
      this.#seeking = false;
      const known = asAuditError(error);
      if (known.code === 'log_unavailable') this.#giveUp(known);
      else this.#die(known);
      return;
    }
    this.#seeking = false;
    await this.#takeUp(writer);
  }

  async #takeUp(writer: Holder | Connection): Promise<void> {
    const ours = writer instanceof Holder ? writer : undefined;
    if (this.#ended) {
      writer.end();
      return;
    }
    this.#resuming = true;
    try {
      if (ours !== undefined) this.#become(ours);
      else this.#join(writer as Connection);
      this.#checkSame(writer);
      await this.#findLost();
    } catch (error) {
      this.#die(asAuditError(error));
    } finally {
      this.#resuming = false;
    }
    if (this.#ended) return;
    // The connection may be gone again; then the search is on already, and ends here once more.
    if (this.#connection === undefined && this.#own === undefined) return this.#settleDown();
    this.#handAll();
    for (const [id, question] of this.#asked) this.#ask(id, question);
    this.#meetHost(writer);
    this.#settleDown();
  }

  /** Messages go to whoever answers them now, and whoever sends them learns that it is another. */
  #meetHost({ host, knowsUs }: Holder | Connection): void {
    const isForgotten = this.#outbox.isKnown && !knowsUs;
    if (this.#connection !== undefined) this.#outbox.open(this.#connection);
    else
      for (const { text, resolve, reject } of this.#outbox.takeWaiting()) {
        this.#own?.consult(text).then(resolve, reject);
      }
    if (host === this.#host && !isForgotten) return;
    this.#host = host;
    this.#listener?.hostChanged(host);
  }

  #become(own: Holder): void {
    this.#own = own;
    if (this.#refed) own.ref();
    own.listen({
      receive: (message) => {
        if (message.kind === 'outcomes') for (const one of message.outcomes) this.#settle(one);
        else if ('id' in message) this.#answer(message);
        else this.#listener?.receive(message);
      },
      died: (error) => this.#die(error),
      hostChanged: () => {},
    });
  }

  /** A log folder that was put in another's place is another log. */
  #checkSame(writer: Holder | Connection): void {
    const { origin, content } = writer instanceof Holder ? writer.facts : writer.welcome;
    const wanted = this.#target.kind === 'own' ? this.#target.options.content : undefined;
    if (wanted !== undefined && wanted !== content) {
      throw new AuditError(
        'bad_option',
        `the process that writes the log now has content ${content}, not ${wanted}; end it first`,
        { member: 'content' },
      );
    }
    if (origin === this.facts.origin) return;
    throw new AuditError(
      'wrong_log',
      `the log was ${this.facts.origin} and is ${origin} now; open it again`,
    );
  }

  /** Asks what became of what was in flight, and keeps the answers for their turns. */
  async #findLost(): Promise<void> {
    const isLost = (run: Run): boolean => run.sent && run.known === undefined;
    const bodies = this.#runs.filter(isLost).flatMap(bodiesOf);
    if (bodies.length === 0) return;
    const entries = bodies.slice(0, findEntriesMax).map((body) => entryOf(bodyOf(body)));
    const found = await this.#find(entries);
    // Without an answer the connection was lost, and the search begins anew.
    if (found.length < entries.length) return;
    const again = bodies.map((body, at) => runOfBody(body, found[at] ?? 'unknown'));
    // Meanwhile nothing was answered, so the bodies are still those of the lost runs, in order.
    this.#runs = this.#runs.flatMap((run) =>
      isLost(run) ? again.splice(0, run.count - run.settled) : run,
    );
  }

  #find(entries: readonly FindEntry[]): Promise<Found[]> {
    const after = this.#after;
    const { options } = this.#target as { options: WriterOptions };
    // This process has opened the log: everything that others wrote is on disk, and nobody else writes.
    if (this.#own !== undefined) return findRecords(options, after, entries);
    const connection = this.#connection;
    if (connection === undefined) return Promise.resolve([]);
    connection.watch(true);
    return new Promise((resolve) => {
      this.#onFound = (found) => {
        this.#onFound = undefined;
        resolve(found);
      };
      for (let at = 0; at < entries.length; at += findEntriesPerFrame) {
        const part = entries.slice(at, at + findEntriesPerFrame);
        connection.say(toDoor.find, {
          after,
          entries: part,
          last: at + part.length === entries.length,
        });
      }
    });
  }

  #handAll(): void {
    this.#tellKnown();
    for (const run of this.#runs) {
      if (run.known !== undefined || run.bodies === undefined) continue;
      if (this.#connection !== undefined) this.#hand(run, this.#connection);
      else if (this.#own !== undefined) {
        const batch = run.bodies.slice();
        run.bodies = undefined;
        this.#own.send({ kind: 'append', batch, count: run.count });
      }
    }
  }

  /** Nobody answers: what is in flight fails, and what is appended next tries again. */
  #giveUp(error: AuditError): void {
    this.#failAll(error);
    this.#closeWhenDone();
    // What the hook holds for this client it keeps only while that is there.
    if (this.#outbox.isKnown) this.#seekIn(comeAgainMs);
  }

  #failAll(reason: AuditError): void {
    const error = toPlainError(reason);
    this.#outbox.fail(reason);
    const runs = this.#runs.splice(0);
    for (const run of runs) this.#tell(run.known ?? { count: run.count - run.settled, error });
    for (const id of [...this.#asked.keys()]) this.#answer({ kind: 'answer_failed', id, error });
  }

  #die(error: AuditError): void {
    if (this.#ended) return;
    this.#failAll(error);
    this.#outbox.lose(this.#connection?.pid);
    this.#ended = true;
    clearTimeout(this.#takeOver);
    this.#connection?.end();
    this.#listener?.died(error);
  }
}

function silent(pid: number | undefined): AuditError {
  return new AuditError(
    'log_unavailable',
    `process ${pid}, which writes the log, has not answered for 2 s; let it go on or end it. Whether what was in flight is recorded is not known`,
  );
}

function asAuditError(error: unknown): AuditError {
  if (error instanceof AuditError) return error;
  return new AuditError('log_failed', `the log's writer could not be reached: ${String(error)}`, {
    cause: error,
  });
}
