import type { Acknowledgement, Opening } from './acknowledgement.js';
import { encodeContentLines } from './content-lines.js';
import type { Erased } from './erasure.js';
import { AuditError } from './errors.js';
import type { AuditEvent, BuiltInEventType } from './event.js';
import type { Feeder } from './feeder.js';
import { holdLog } from './holder.js';
import { type Consulted, checkMessage } from './hook.js';
import type { Link } from './link.js';
import {
  type AuditLogOptions,
  type ContentMode,
  checkHook,
  normaliseLogOptions,
  normaliseOptions,
  type QueueOptions,
  type ServedLogOptions,
  type ServeOptions,
} from './options.js';
import { sinksOf, startFeeding } from './outside.js';
import type { Removed } from './pruned-ranges.js';
import type { Answer, Answers, EraseTask, PruneOptions, Question } from './question.js';
import { encodeEvent } from './record.js';
import { newClient, openLink } from './relay.js';
import { policyFrom } from './retention.js';
import type { KeyRotationOptions } from './signing-keys.js';
import { type FromWriter, fromPlainError, type Outcome } from './thread-messages.js';

/** An event whose type the called method gives. */
export type TypedEvent = Omit<AuditEvent, 'eventType'>;

/** Whether past records are safe from whoever takes this host now. */
export interface ForwardSecurity {
  readonly on: boolean;
  /** While off: the file that must be moved off this host. */
  readonly initialKeyFile?: string;
}

const batchRecords = 128;
/** Messages that may wait for their answers. */
const consultingMax = 1_024;
const encoder = new TextEncoder();
const noOpenings: readonly Opening[] = [];

/** One append that was sent and not answered yet. */
interface InFlight {
  readonly eventId: string;
  readonly timestamp: string;
  readonly openings: readonly Opening[];
  readonly bytes: number;
  resolve(acknowledgement: Acknowledgement): void;
  reject(error: AuditError): void;
}

/**
 * Opens a log. In `options.dir`: sets up folder and keys at first use; the first process to open it writes it, the others
 * append through that one, with the same promise, and take over when it ends. By `options.socket` alone: a log that
 * `gatebook serve` writes. Rejects with an AuditError: `log_unavailable` (the process that writes it does not answer),
 * `log_locked` (another log uses the keys folder), `log_rolled_back` or `log_damaged` (the folder is not what was last
 * signed), `keys_missing`, `keys_unsafe`, `wrong_log`, `bad_option`, `bad_socket`, `bad_token`, `protocol_mismatch`.
 */
export async function openAuditLog(options: AuditLogOptions | ServedLogOptions): Promise<AuditLog> {
  const normalised = normaliseLogOptions(options);
  const sinks = 'dir' in options && options.dir !== undefined ? sinksOf(options) : [];
  const link = await openLink(normalised.target);
  const { target } = normalised;
  if (target.kind === 'own') checkContentMode(target.options.content, link);
  const feeder = target.kind === 'own' ? startFeeding(target.options.dir, sinks) : undefined;
  return new AuditLog(normalised.queue, link, feeder);
}

/** Who asked that personal data be kept out of the book must not find later that another process had it written in. */
function checkContentMode(wanted: ContentMode | undefined, link: Link): void {
  const { content } = link.facts;
  if (wanted === undefined || wanted === content) return;
  link.end();
  throw new AuditError(
    'bad_option',
    `the process that writes the log has content ${content}, not ${wanted}; end it first, or leave the option out`,
    { member: 'content' },
  );
}

/** A log that is written here for others too. */
export interface ServedLog {
  readonly log: AuditLog;
  /** Where others reach it. */
  readonly socket: string;
  /** Resolves if the writer has to stop by itself. */
  readonly failed: Promise<AuditError>;
}

/**
 * Opens a log as its writer, for others to append to until it is closed. Rejects as `openAuditLog` does, and with
 * `log_locked` when another process writes it.
 */
export async function serveAuditLog(options: ServeOptions): Promise<ServedLog> {
  const normalised = normaliseOptions(options);
  const sinks = sinksOf(options);
  const holder = await holdLog(normalised, options, {
    hook: checkHook(options.hook),
    client: newClient(),
  });
  const { socket, failed } = holder;
  const feeder = startFeeding(normalised.dir, sinks);
  return { log: new AuditLog(normalised, holder, feeder), socket, failed };
}

/** The open logs of this process. One that was forgotten is closed when the process runs out of work. */
const openLogs = new Set<AuditLog>();

function closeForgotten(): void {
  for (const log of openLogs) {
    // Nobody waits for this one; what was not closed is recovered at the next opening.
    log.close().catch(() => {});
  }
}

/**
 * An open log. `append` resolves when the record is on disk; what is appended while a sync is under way shares the
 * next one. Close it: an unclosed log keeps its last records pending until it is opened again.
 */
export class AuditLog {
  /** Unique name of this log; stands in every checkpoint. */
  readonly origin: string;
  /** `name+hash+key`, the signed-note form of the newest key that signed the checkpoints when the log was opened. */
  readonly publicKey: string;
  readonly forwardSecurity: ForwardSecurity;
  /** What becomes of content here. */
  readonly content: ContentMode;
  readonly #options: QueueOptions;
  readonly #link: Link;
  #batch: string[] = [];
  #inFlight: InFlight[] = [];
  /** Index of the oldest unanswered entry in `#inFlight`. */
  #oldest = 0;
  #bytes = 0;
  #askedId = 0;
  /** Questions that are not answered yet. */
  readonly #asked = new Map<
    number,
    { resolve(answer: Answer): void; reject(error: AuditError): void }
  >();
  /** Messages that are not answered yet. */
  #consulting = 0;
  readonly #hostListeners = new Set<(host: string) => void>();
  readonly #drains: (() => void)[] = [];
  #closing: Promise<void> | undefined;
  #closed: { resolve(): void; reject(error: AuditError): void } | undefined;
  #failed: AuditError | undefined;
  /** Sends the checkpoints to witnesses and anchors. */
  readonly #feeder: Feeder | undefined;

  /** Use `openAuditLog`. */
  constructor(options: QueueOptions, link: Link, feeder?: Feeder) {
    this.#feeder = feeder;
    const { origin, publicKey, initialKeyFile, content } = link.facts;
    this.content = content;
    this.#options = link.emitter === undefined ? options : { ...options, emitter: link.emitter };
    this.#link = link;
    this.origin = origin;
    this.publicKey = publicKey;
    this.forwardSecurity =
      initialKeyFile === undefined ? { on: true } : { on: false, initialKeyFile };
    link.listen({
      receive: (message) => this.#receive(message),
      died: (error) => this.#die(error),
      hostChanged: (host) => {
        for (const listener of this.#hostListeners) listener(host);
      },
    });
    this.#unref();
    if (openLogs.size === 0) process.on('beforeExit', closeForgotten);
    openLogs.add(this);
  }

  /** Whether this process writes the log now. Else another does, by its own options: rotation, retention and the like. */
  get isWriter(): boolean {
    return this.#link.isOwn;
  }

  /**
   * Records an event. Resolves once the record is durable, with its seq. Rejects with an AuditError naming the member that
   * cannot be recorded, `queue_full` at the queue's bound (wait for `drained()`), `write_failed` when the disk refused
   * (nothing of the record stays), `log_failed` or `log_closed`.
   */
  append(event: AuditEvent): Promise<Acknowledgement> {
    return new Promise((resolve, reject) => {
      if (this.#failed) throw this.#failed;
      if (this.#closing) throw new AuditError('log_closed', 'the log is closed; open it again');
      const body = encodeEvent(event, this.#options.emitter);
      const { eventId, timestamp } = body;
      const keeps = this.content !== 'off' && body.openings.length > 0;
      const text = keeps ? encodeContentLines(body.openings) + body.text : body.text;
      // Where the writer makes the commitments, it alone has what opens them.
      const openings = this.content === 'personal' ? noOpenings : body.openings;
      const waiting = this.#inFlight.length - this.#oldest;
      let bytes = text.length;
      for (const { content } of openings) bytes += content.length;
      // One event is always taken when nothing waits, or whoever awaits drained() would wait for ever.
      const full =
        waiting >= this.#options.queueRecordsMax ||
        (waiting > 0 && this.#bytes + bytes > this.#options.queueBytesMax);
      if (full) {
        throw new AuditError(
          'queue_full',
          `${waiting} records wait for the disk; await drained() before appending more`,
        );
      }
      if (waiting === 0) this.#ref();
      if (this.#batch.length === 0) process.nextTick(this.#sendBatch);
      this.#batch.push(text);
      this.#bytes += bytes;
      this.#inFlight.push({ eventId, timestamp, openings, bytes, resolve, reject });
      // A long batch goes early, so that the writer hashes these records while the next are encoded here.
      if (this.#batch.length >= batchRecords) this.#sendBatch();
    });
  }

  /** Resolves when the queue is less than half full. */
  drained(): Promise<void> {
    if (this.#isDrained()) return Promise.resolve();
    return new Promise((resolve) => this.#drains.push(resolve));
  }

  #isDrained(): boolean {
    return (
      this.#inFlight.length - this.#oldest < this.#options.queueRecordsMax / 2 &&
      this.#bytes < this.#options.queueBytesMax / 2
    );
  }

  /** Makes a checkpoint of everything acknowledged so far and resolves with the signed note. */
  checkpoint(): Promise<string> {
    return this.#ask({ ask: 'checkpoint' });
  }

  /**
   * Seals the open segment behind everything acknowledged so far and begins the next. Resolves with the first seq of the sealed
   * one; undefined when it held no records, and nothing was done.
   */
  rotate(): Promise<number | undefined> {
    return this.#ask({ ask: 'rotate' });
  }

  /**
   * Deletes now what the policy in the book lets go, and resolves with what that was; with `dryRun` only says it. A running log
   * does the same by itself. `confirmClock` says that the time is right although the clock was seen to jump ahead. A dry run may be
   * given another policy, to say what that would let go; nothing is put in force.
   */
  async prune(options: PruneOptions = {}): Promise<readonly Removed[]> {
    const { dryRun = false, confirmClock = false, retention } = options;
    if (retention === undefined) return await this.#ask({ ask: 'prune', dryRun, confirmClock });
    if (!dryRun) {
      const message =
        'retention can be tried with dryRun only; the policy in force is given when a log is opened';
      throw new AuditError('bad_option', message, { member: 'retention' });
    }
    return await this.#ask({ ask: 'prune', dryRun, confirmClock, policy: policyFrom(retention) });
  }

  /**
   * Makes a new signing key and changes to it in this history: a record names it, a kept checkpoint carries the signatures of
   * both keys, and then the old one retires and is erased. Where the log has witnesses both go on signing until each has
   * taken the new key, and with `overlap` until `retireSigningKey`.
   * Resolves with the new public key when it is durable; what a crash interrupts the next opening finishes. Rejects with
   * `bad_option` while two keys sign already, with `log_locked` when another process writes the log, and as opening does when
   * the new key cannot be used.
   */
  rotateSigningKey(options: KeyRotationOptions = {}): Promise<string> {
    const witnesses = this.#feeder?.witnesses ?? [];
    return this.#ask({ ask: 'keys', request: { action: 'rotate', options, witnesses } });
  }

  /** Ends an overlap: the older of two signing keys retires. Resolves with the public key that signs alone from now on. */
  retireSigningKey(): Promise<string> {
    return this.#ask({ ask: 'keys', request: { action: 'retire' } });
  }

  /**
   * Erases whoever has this user id or username: destroys the keys of what was sealed for them, records that under their
   * pseudonyms, and removes what was sealed. Resolves with the pseudonyms, none when the log knows nobody of that name. Records
   * stay as they are. Rejects with `held` where a legal hold may cover theirs. `surveyErasure` says what it cannot reach.
   */
  erase(user: string, options: Partial<Omit<EraseTask, 'user'>> = {}): Promise<Erased> {
    const { despiteHold = false } = options;
    return this.#ask({ ask: 'erase', user, despiteHold });
  }

  /** Everything appended before goes first. */
  #ask<Q extends Question>(question: Q): Promise<Answers[Q['ask']]> {
    return new Promise((resolve, reject) => {
      if (this.#failed) throw this.#failed;
      if (this.#closing) throw new AuditError('log_closed', 'the log is closed; open it again');
      const id = this.#askedId++;
      this.#ref();
      this.#asked.set(id, { resolve: resolve as (answer: Answer) => void, reject });
      this.#sendBatch();
      this.#link.send({ kind: 'ask', id, question });
    });
  }

  /**
   * Sends a message of at most 64 KiB to the hook of the process that writes the log, and resolves with its answer and with who
   * that is: another `host` than before knows nothing of what the one before was told, unless the hook saw to it. A message
   * is sent to one writer only. Rejects with `unknown_outcome` where that one ended, or took the message and was silent for 2 s:
   * count it as decided then; with any other code nothing was: `no_hook` (the writer has none), `hook_failed` (it threw),
   * `log_unavailable` (the writer's program was too busy for 2 s), `queue_full` (1,024 messages wait), `too_large`,
   * `lone_surrogate`, and as `append` does.
   */
  async consult(message: string): Promise<Consulted> {
    if (this.#failed) throw this.#failed;
    if (this.#closing) throw new AuditError('log_closed', 'the log is closed; open it again');
    checkMessage(message, 'message');
    if (this.#consulting >= consultingMax) {
      throw new AuditError(
        'queue_full',
        `${consultingMax} messages wait for their answers; send fewer at a time`,
      );
    }
    this.#consulting++;
    this.#ref();
    try {
      return await this.#link.consult(message);
    } finally {
      this.#consulting--;
      this.#unrefIdle();
    }
  }

  /** Names who answers messages, as `consult` does; may be out of date until that has answered. */
  get host(): string {
    return this.#link.host;
  }

  /**
   * Calls the listener whenever another host was found, or the same one that meanwhile took this log for gone, so that it can be
   * told what this process holds. Who has sent a message looks for the next host at once. Returns what ends that.
   */
  onHostChanged(listener: (host: string) => void): () => void {
    this.#hostListeners.add(listener);
    return () => void this.#hostListeners.delete(listener);
  }

  /**
   * Ends the log: what is in flight is written, `log.closed` and a last checkpoint follow, the open epoch's key is left
   * behind, the lock is released. Witnesses and anchors get the last checkpoint, for which it waits 2 s at most. Further
   * calls return the same promise.
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeWriter().finally(() => this.#feeder?.close());
    return this.#closing;
  }

  #closeWriter(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#forget();
      if (this.#failed) throw this.#failed;
      this.#ref();
      this.#closed = { resolve, reject };
      this.#sendBatch();
      this.#link.send({ kind: 'close' });
    });
  }

  // What arrives in one turn of the event loop, answers to one sync included, goes to the writer in one message.
  readonly #sendBatch = (): void => {
    if (this.#batch.length === 0) return;
    const batch = encoder.encode(`${this.#batch.join('\n')}\n`);
    const count = this.#batch.length;
    this.#batch = [];
    this.#link.send({ kind: 'append', batch, count });
  };

  #receive(message: FromWriter): void {
    switch (message.kind) {
      case 'outcomes':
        for (const outcome of message.outcomes) this.#settle(outcome);
        break;
      case 'answer':
        this.#asked.get(message.id)?.resolve(message.answer);
        this.#asked.delete(message.id);
        break;
      case 'answer_failed':
        this.#asked.get(message.id)?.reject(fromPlainError(message.error));
        this.#asked.delete(message.id);
        break;
      case 'closed':
        this.#finish(message.error === undefined ? undefined : fromPlainError(message.error));
        break;
      default:
        this.#die(new AuditError('log_failed', `the writer said ${message.kind} out of turn`));
    }
    this.#unrefIdle();
  }

  #unrefIdle(): void {
    const owed = this.#inFlight.length > this.#oldest || this.#asked.size > 0;
    if (!owed && this.#consulting === 0 && !this.#closing) this.#unref();
  }

  #settle(outcome: Outcome): void {
    const error = 'error' in outcome ? fromPlainError(outcome.error) : undefined;
    for (let i = 0; i < outcome.count; i++) {
      const { eventId, timestamp, openings, bytes, resolve, reject } =
        this.#inFlight[this.#oldest]!;
      this.#oldest++;
      this.#bytes -= bytes;
      if (error) reject(error);
      else
        resolve({
          seq: 'firstSeq' in outcome ? outcome.firstSeq + i : -1,
          eventId,
          timestamp,
          openings,
        });
    }
    if (this.#oldest === this.#inFlight.length || this.#oldest > 4_096) {
      this.#inFlight = this.#inFlight.slice(this.#oldest);
      this.#oldest = 0;
    }
    if (this.#drains.length > 0 && this.#isDrained()) {
      for (const resolve of this.#drains.splice(0)) resolve();
    }
  }

  #finish(error: AuditError | undefined): void {
    this.#failed ??= new AuditError('log_closed', 'the log is closed; open it again');
    if (error) this.#closed?.reject(error);
    else this.#closed?.resolve();
    this.#closed = undefined;
    this.#rejectAll(this.#failed);
    this.#link.end();
  }

  #forget(): void {
    openLogs.delete(this);
    if (openLogs.size === 0) process.removeListener('beforeExit', closeForgotten);
  }

  /** The writer has gone although it was not asked to: nothing in flight will be answered. */
  #die(error: AuditError): void {
    if (this.#failed) return;
    this.#failed = error;
    this.#forget();
    this.#closed?.reject(error);
    this.#closed = undefined;
    this.#rejectAll(error);
    this.#link.end();
  }

  #rejectAll(error: AuditError): void {
    for (const entry of this.#inFlight.slice(this.#oldest)) entry.reject(error);
    this.#inFlight = [];
    this.#oldest = 0;
    this.#bytes = 0;
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
    for (const resolve of this.#drains.splice(0)) resolve();
  }

  /** The writer keeps the process alive only while somebody waits for it. */
  #ref(): void {
    this.#link.ref();
  }

  #unref(): void {
    this.#link.unref();
  }

  /** Records an event of one type; one method for each common type. */
  #typed(eventType: BuiltInEventType, event: TypedEvent): Promise<Acknowledgement> {
    return this.append({ ...event, eventType });
  }

  commandExecution(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('command_execution', event);
  }
  toolExecution(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('tool_execution', event);
  }
  fileAccess(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('file_access', event);
  }
  configChange(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('config_change', event);
  }
  authSuccess(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('auth_success', event);
  }
  authFailure(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('auth_failure', event);
  }
  authLogin(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('auth_login', event);
  }
  authLogout(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('auth_logout', event);
  }
  authRefresh(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('auth_refresh', event);
  }
  policyViolation(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('policy_violation', event);
  }
  securityEvent(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('security_event', event);
  }
  rateLimitHit(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('rate_limit_hit', event);
  }
  ssrfBlock(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('ssrf_block', event);
  }
  injectionBlock(event: TypedEvent): Promise<Acknowledgement> {
    return this.#typed('injection_block', event);
  }
}
