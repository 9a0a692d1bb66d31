import * as path from 'node:path';
import { Archiver } from './archiver.js';
import { advanceState, type BookState } from './book-state.js';
import { endsEpoch } from './chain.js';
import { signCheckpoint } from './checkpoint.js';
import { type Clock, clockJumpMs } from './clock.js';
import { ClockWatch } from './clock-watch.js';
import { ContentKeeper } from './content-keeper.js';
import { entryAt } from './content-lines.js';
import { makeFolder } from './durable.js';
import { checkHolds, type Erased, Erasure } from './erasure.js';
import { AuditError, reasonOf, systemCode } from './errors.js';
import type { JsonObject } from './event.js';
import { readFormer } from './former.js';
import { Group, groupBytesMax } from './group.js';
import { GrowingTree } from './growing-tree.js';
import { type Head, type HeadPlace, placeOf } from './head.js';
import { KeyHandover, witnessesToAwait } from './key-handover.js';
import { advanceKeys, finishKeyRecord, type KeyWriter } from './key-rotation.js';
import type { Keys } from './keys.js';
import { encodeLogEvent, type LogEventType, openedFacts } from './log-events.js';
import { OpenEpoch } from './open-epoch.js';
import { OpenSegment } from './open-segment.js';
import type { ContentMode, WriterOptions } from './options.js';
import { PlaceWatch } from './place-watch.js';
import { previousLogFacts } from './previous-log.js';
import { prunedDetails, type Removed } from './pruned-ranges.js';
import { type PreparedPrune, Pruner, type PruneView } from './pruner.js';
import { Pruning } from './pruning.js';
import { Publisher } from './publisher.js';
import type { PruneTask } from './question.js';
import type { Standing } from './recovery.js';
import { Reserve, saysFull } from './reserve.js';
import { aheadMsMax, termsOf } from './retention.js';
import { periodEnd, type SealReason } from './rotation.js';
import { segmentsFolder } from './segment.js';
import type { KeyRotationOptions } from './signing-keys.js';
import { SubjectKeys } from './subject-keys.js';
import { formatTime } from './timestamp.js';

/** After a step that failed, nothing is tried again on its own before this. */
const tickPauseMs = 1_000;
/** A running log looks at least this often whether its segment's period has ended. */
const rotationLookMs = 60_000;

/** Hears what became of each record, in the order they were handed in. */
export interface Report {
  durable(firstSeq: number, count: number): void;
  failed(count: number, error: AuditError): void;
}

/**
 * Appends records: assigns seq, epoch and hashes, writes each group with one write and one sync, and only then says that
 * it is durable; grows the tree, makes checkpoints, moves the epoch keys, rolls the segments. One writer a log,
 * under the kernel lock. Synchronous: it runs on a thread of its own (`writer-thread.ts`).
 *
 * After a failed write or sync, or a failed look whether it went where readers look, the bytes since the last good sync
 * count as lost: they are cut off, and the log goes on in a new segment, or, where that fails too, refuses everything
 * until it is opened again.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #tree: GrowingTree;
  readonly #group: Group;
  readonly #publisher: Publisher;
  readonly #places: PlaceWatch;
  readonly #reserve: Reserve;
  readonly #keyWriter: KeyWriter = {
    writeOwn: (type, details) => this.#writeOwn(type, details),
    publishKept: () => this.#publish('kept'),
    size: () => this.#seq,
  };
  readonly #handover: KeyHandover;
  readonly #subjects: SubjectKeys;
  readonly #contents: ContentKeeper;
  readonly #erasure: Erasure;
  #seq: number;
  /** Where the entry that was added last ends in its batch. */
  #entryEnd = 0;
  #prevHash: string;
  #lastTimestamp: string;
  /** Bytes of all lines. */
  #bytes: number;
  #state: BookState;
  readonly #pruning: Pruning;
  readonly #archiver: Archiver;
  readonly #epoch: OpenEpoch;
  readonly #clockWatch: ClockWatch;
  /** Where the last record is, once it cannot be asked of the open segment. */
  #lastPlace: HeadPlace;
  #segment: OpenSegment | undefined;
  /** The type of the last record, where it ended its epoch and the steps that follow are not all done. */
  #moving: LogEventType | undefined;
  #checkpointMs: number;
  #syncDueMs: number | undefined;
  #tickAgainMs = 0;
  #tilesAgainMs = 0;
  #writeError: string | undefined;
  #failed: AuditError | undefined;

  /** Takes up a log where it stands: finishes what was interrupted and writes the records of the opening. */
  constructor(options: WriterOptions, keys: Keys, standing: Standing, clock: Clock) {
    this.#options = options;
    this.#keys = keys;
    this.#clock = clock;
    this.#tree = new GrowingTree(standing.frontier, standing.tiles, standing.lastLeaf);
    this.#group = new Group(standing.prevHash);
    this.#publisher = new Publisher(options.dir, keys, standing.head, standing.published);
    this.#places = new PlaceWatch(options.keysDir);
    this.#reserve = new Reserve(options.dir, options.keysDir);
    this.#handover = new KeyHandover(options.dir, keys.signing, clock);
    this.#subjects = new SubjectKeys(options.keysDir, keys.origin);
    this.#subjects.tidy();
    this.#contents = new ContentKeeper(options.dir, keys.origin, this.#subjects);
    this.#erasure = new Erasure(options.dir, options.keysDir, this.#subjects);
    this.#seq = standing.seq;
    this.#prevHash = standing.prevHash;
    this.#lastTimestamp = standing.lastTimestamp;
    this.#bytes = standing.bytes;
    this.#state = standing.state;
    this.#pruning = new Pruning(new Pruner(options.dir, standing.ranges));
    this.#archiver = new Archiver(options.dir, options.archive);
    this.#epoch = new OpenEpoch(keys, standing.epoch, standing.epochKey);
    this.#clockWatch = new ClockWatch(clock);
    this.#lastPlace = placeOf(standing.head);
    this.#checkpointMs = clock.monotonicMs();
    makeFolder(segmentsFolder(options.dir));
    makeFolder(path.join(options.dir, 'checkpoints'));
    this.#resume(standing);
    this.#recordOpening(standing);
    this.#reserve.keep();
  }

  get seq(): number {
    return this.#seq;
  }

  /** As the book has it. */
  get contentMode(): ContentMode {
    return this.#state.content;
  }

  #resume(standing: Standing): void {
    const { segment, lastType, recordsAfterHead } = standing;
    if (segment !== undefined) {
      this.#segment = OpenSegment.resume(this.#options.dir, this.#keys, segment);
      if (recordsAfterHead > 0) this.#lastPlace = this.#segment.place;
    }
    if (recordsAfterHead > 0 && endsEpoch(lastType)) {
      this.#moving = lastType as LogEventType;
      this.#finishMove();
    } else if (endsEpoch(lastType)) {
      // The head was made, but what follows it may not have been; the next record relies on it.
      this.#publish(lastType === 'log.sealed' ? 'kept' : 'durable');
    }
    if (lastType === 'log.sealed' && this.#segment?.firstSeq === standing.head.segment) {
      this.#closeSegment();
    }
    finishKeyRecord(this.#keys.signing, this.#keyWriter);
  }

  #recordOpening(standing: Standing): void {
    // The record at seq 0 says what log this is, whatever else there is to say.
    if (standing.seq === 0) this.#writeOpened();
    if (standing.repair !== undefined) this.#writeOwn('log.repaired', standing.repair);
    this.#recordRecovery(standing);
    // How long ago this epoch began is not known any more, so it ends now.
    if (standing.seq > 0 && !endsEpoch(standing.lastType)) this.#endEpoch('opened');
    const now = this.#clock.wallMs();
    const last = Date.parse(standing.lastTimestamp);
    if (last - now >= clockJumpMs) this.#writeClockJump(last, now);
    else this.#checkAbsence(standing.head, now);
    if (standing.seq > 0) this.#writeOpened();
    this.checkpoint();
    advanceKeys(this.#keys.signing, this.#keyWriter);
    this.#recordErasure();
    this.#tryRemoveErased();
    this.#pruning.finish();
    this.#pruning.ask();
  }

  /** More time than this machine can vouch for: whether it passed, or the clock was set, nobody knows. */
  #checkAbsence(head: Head, nowMs: number): void {
    const boot = this.#clock.boot();
    const vouchedMs = boot !== undefined && boot.id === head.boot?.id ? boot.ms - head.boot.ms : 0;
    const expectedMs = head.wallMs + vouchedMs;
    if (head.size > 0 && nowMs - expectedMs >= aheadMsMax) this.#writeClockJump(expectedMs, nowMs);
  }

  #recordRecovery(standing: Standing): void {
    const unclean = standing.seq > 0 && standing.lastType !== 'log.closed';
    const facts = { reason: 'unclean_shutdown', records_after_head: standing.recordsAfterHead };
    if (unclean && standing.torn.length === 0) {
      this.#writeOwn('log.recovered', { ...facts, torn_bytes: 0 });
    }
    for (const { bytes, file, sha256 } of standing.torn) {
      const torn = { torn_bytes: bytes, torn_file: file, torn_sha256: sha256 };
      this.#writeOwn('log.recovered', { ...facts, ...torn });
    }
  }

  #writeOpened(): void {
    const retention = this.#options.retention ?? this.#state.retention;
    const content = this.#options.content ?? this.#state.content;
    const facts = openedFacts(this.#options, this.#keys, retention, content);
    this.#writeOwn('log.opened', this.#seq === 0 ? { ...facts, ...this.#beforeFacts() } : facts);
  }

  /** The log that a new one goes on from, where a repair or its set-up named one. */
  #beforeFacts(): JsonObject {
    const former = readFormer(this.#options.dir);
    const previous = previousLogFacts(this.#keys.folder);
    return former === undefined ? previous : { ...previous, former };
  }

  /**
   * Appends the bodies in `batch` (each as `encodeEvent` made it, one a line) and reports each as durable or failed. Does
   * not throw: after an error the rest of the batch is reported as failed.
   */
  append(batch: Buffer, count: number, report: Report): void {
    let at = 0;
    let left = count;
    try {
      while (left > 0) {
        this.#prepare();
        while (left > this.#group.count && this.#hasRoom()) {
          const refusal = this.#addEntry(batch, at);
          if (refusal !== undefined) {
            // What stands before it is written and reported first.
            if (this.#group.count > 0) break;
            report.failed(1, refusal);
            left--;
          }
          at = this.#entryEnd + 1;
        }
        if (this.#group.count === 0) continue;
        const firstSeq = this.#seq;
        const { segment, leaves, bytes } = this.#flush();
        left -= leaves.length;
        report.durable(firstSeq, leaves.length);
        this.#tree.append(leaves);
        segment.tally.addLines(bytes);
        const news = this.#seq - this.#publisher.head.size;
        if (news >= this.#options.checkpointRecordsMax) this.#tryCheckpoint();
      }
    } catch (error) {
      this.#group.restart(this.#prevHash);
      this.#contents.drop();
      this.#meetFullDisk(error);
      report.failed(left, asWriteFailure(error));
    }
  }

  /** Adds the entry of a batch at `at`; gives why it cannot be recorded, where it cannot. */
  #addEntry(batch: Buffer, at: number): AuditError | undefined {
    const { body, end } = entryAt(batch, at);
    this.#entryEnd = end;
    const { content } = this.#state;
    if (content === 'off') {
      this.#addLine(batch, body, end);
      return undefined;
    }
    try {
      const { source, from, to } = this.#contents.take(batch, { at, body, end }, content);
      this.#addLine(source, from, to);
      return undefined;
    } catch (error) {
      if (error instanceof AuditError) return error;
      throw error;
    }
  }

  /** What is kept in reserve is for saying so in the book. */
  #meetFullDisk(error: unknown): void {
    if (!saysFull(error) || this.#reserve.spent || this.#failed) return;
    this.#reserve.release();
    try {
      if (this.#moving === undefined) this.#mendSegment();
      this.#publish();
    } catch {
      // There was not enough of it; the record is written once there is room.
      this.#group.restart(this.#prevHash);
    }
  }

  /** Does what has become due: an epoch's end, a checkpoint, a sync. Called after each append and when `dueInMs` has passed. */
  tick(): void {
    const now = this.#clock.monotonicMs();
    if (this.#failed || now < this.#tickAgainMs) return;
    try {
      if (this.#syncDueMs !== undefined && now >= this.#syncDueMs) this.#sync();
      if (this.#keys.signing.step !== undefined) this.#prepare();
      if (this.#epochDue(now)) {
        if (this.#moving === undefined) this.#mendSegment();
        this.#endEpoch('age');
      }
      if (this.#moving === undefined) this.#sealAtPeriodEnd();
      if (this.#checkpointDue(now)) this.#tryCheckpoint();
      if (now >= this.#tilesAgainMs) this.#mendTiles();
      if (this.#handover.look()) this.retireKey();
      this.#pruneATurn(now);
      this.#archiver.turn(now, this.#publisher.head.segment);
      if (this.#erasure.isPending) this.#removeErased();
    } catch {
      // Whoever appends next meets the same condition and gets the error.
      this.#group.restart(this.#prevHash);
      this.#tickAgainMs = now + tickPauseMs;
    }
  }

  /** Milliseconds until `tick` has something to do; Infinity when nothing is open. */
  dueInMs(): number {
    const { epochMs, checkpointIntervalMs } = this.#options;
    const { startMs } = this.#epoch;
    const due = [
      this.#syncDueMs,
      startMs === undefined ? undefined : startMs + epochMs,
      this.#hasNews() ? this.#checkpointMs + checkpointIntervalMs : undefined,
      this.#areTilesBehind ? this.#tilesAgainMs : undefined,
      this.#rotationDueMs(),
      this.#handover.dueMs(),
      this.#pruningDueMs(),
      this.#archiver.dueMs(),
      this.#erasure.isPending ? 0 : undefined,
    ].filter((ms) => ms !== undefined);
    if (this.#failed || due.length === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#tickAgainMs, Math.min(...due)) - this.#clock.monotonicMs();
  }

  #pruningDueMs(): number | undefined {
    if (this.#pruning.isUnfinished) return 0;
    return termsOf(this.#state.retention) === undefined ? undefined : this.#pruning.dueMs();
  }

  /** When to look whether the segment's period has ended, by the monotonic clock; the wall clock may be set meanwhile. */
  #rotationDueMs(): number | undefined {
    if (this.#segment === undefined || this.#segment.bytes === 0) return undefined;
    const wallMs = this.#clock.wallMs();
    const leftMs = periodEnd(this.#options.rotate, wallMs) - wallMs;
    if (leftMs === Number.POSITIVE_INFINITY) return undefined;
    return this.#clock.monotonicMs() + Math.min(leftMs, rotationLookMs);
  }

  /** Seals the open segment now, unless it holds no records. Returns its first seq, undefined when there was nothing to seal. */
  rotate(): number | undefined {
    this.#prepare();
    const segment = this.#segment;
    if (segment === undefined || segment.bytes === 0) return undefined;
    this.#seal(segment, 'demand');
    return segment.firstSeq;
  }

  /** Deletes what may go in turns, so that nobody waits long for a record between them. */
  #pruneATurn(nowMs: number): void {
    if (this.#pruning.isUnfinished) this.#finishPruning();
    if (termsOf(this.#state.retention) === undefined) return;
    const prepared = this.#pruning.turn(nowMs, () => this.#pruneView());
    if (prepared !== undefined) this.#recordPruned(prepared);
  }

  /** Whether the published checkpoint lacks tiles. With newer records, the checkpoint of those writes them. */
  get #areTilesBehind(): boolean {
    return this.#tree.isBehind && this.#tree.size === this.#publisher.head.size;
  }

  #mendTiles(): void {
    if (!this.#areTilesBehind) return;
    this.#tree.writePartialTiles();
    this.#tilesAgainMs = this.#clock.monotonicMs() + tickPauseMs;
  }

  /** What is to go is checked with the tiles of the others. */
  #pruneView(): PruneView {
    this.#mendTiles();
    const { head } = this.#publisher;
    const nowMs = this.#clockWatch.wallMs;
    return { state: this.#state, nowMs, seq: this.#seq, bytes: this.#bytes, head };
  }

  /** The record is signed and durable before anything is deleted. A jump of the clock is recorded first, and counts. */
  #recordPruned(prepared: PreparedPrune): void {
    this.#prepare();
    if (!this.#pruning.allows(prepared, this.#pruneView())) return;
    const pruned = { ...prepared, bytes: this.#bytes };
    this.#writeOwn('log.pruned', prunedDetails(pruned), this.#clockWatch.wallMs);
    this.#pruning.recorded(pruned);
    this.#finishPruning();
  }

  /** What is recorded is recorded once, however often it takes to sign and delete. */
  #finishPruning(): readonly Removed[] {
    this.#publish('durable');
    return this.#pruning.finish();
  }

  /** Deletes all that may go now, or only says what. `confirmClock`: the time is right, however it came about. */
  prune(options: PruneTask): readonly Removed[] {
    this.#prepare();
    if (options.dryRun) return this.#wouldPrune(options);
    if (options.confirmClock && this.#state.aheadMs > 0) {
      this.#writeOwn('log.clock_confirmed', { ahead_ms: this.#state.aheadMs });
    }
    this.checkpoint();
    const removed: Removed[] = this.#pruning.isUnfinished ? [...this.#finishPruning()] : [];
    for (;;) {
      const prepared = this.#pruning.run(this.#pruneView());
      if (prepared === undefined) return removed;
      this.#recordPruned(prepared);
      removed.push(...prepared.removed);
    }
  }

  /** Records nothing about the clock, and puts nothing in force. */
  #wouldPrune({ confirmClock, policy }: PruneTask): readonly Removed[] {
    this.checkpoint();
    const view = this.#pruneView();
    const { retention, aheadMs } = view.state;
    const state = {
      ...view.state,
      retention: policy ?? retention,
      aheadMs: confirmClock ? 0 : aheadMs,
    };
    return this.#pruning.choose({ ...view, state });
  }

  /**
   * Destroys the keys of everybody who has this user id or username, records it under their pseudonyms, and removes what was sealed
   * for them. Throws `held` where a legal hold may cover it, unless `despiteHold`.
   */
  erase(task: { readonly user: string; readonly despiteHold: boolean }): Erased {
    this.#prepare();
    const subjects = this.#subjects.find(task.user);
    if (subjects.length === 0) return { subjects: [], contents: 0 };
    if (!task.despiteHold) checkHolds(this.#state.retention, subjects);
    if (this.#erasure.isPending) this.#removeErased();
    const erased = this.#erasure.begin(subjects, this.#seq);
    this.#recordErasure();
    this.#removeErased();
    return erased;
  }

  /** Before anything else is recorded: the keys go, and then the book says so, signed. */
  #recordErasure(): void {
    if (!this.#erasure.isUnrecorded) return;
    const erased = this.#erasure.destroyKeys();
    if (erased !== undefined) this.#writeOwn('log.erased', { ...erased });
    this.#publish('durable');
    this.#erasure.recorded();
  }

  /** At an opening: what cannot be removed now keeps nobody from recording. */
  #tryRemoveErased(): void {
    try {
      if (this.#erasure.isPending) this.#removeErased();
    } catch {
      // Nobody can read it any more; `tick` tries again, and `status` says that it is not finished.
    }
  }

  #removeErased(): void {
    this.#contents.close();
    this.#erasure.finish();
  }

  /** Makes a checkpoint of everything written so far, if there is news, and returns the newest. */
  checkpoint(): string {
    this.#checkUsable();
    if (this.#moving) this.#finishMove();
    this.#publish();
    return this.#publisher.head.checkpoint;
  }

  /**
   * Begins to sign with a new key, and says which: both sign from the checkpoint that covers the record naming it; the old key
   * then retires, unless an overlap was asked for or there are witnesses, of which `witnesses` are the configured ones' names.
   * Throws `bad_option` while two keys sign already.
   */
  rotateKey(options: KeyRotationOptions, witnesses: readonly string[] = []): string {
    this.#prepare();
    const overlap = options.overlap ?? witnessesToAwait(this.#options.dir, witnesses);
    this.#keys.signing.begin({ ...options, overlap });
    advanceKeys(this.#keys.signing, this.#keyWriter);
    return this.#keys.signing.publicKey.text;
  }

  /** Ends an overlap: from the next checkpoint on the new key alone signs. Returns it. Throws `bad_option` when only one key signs. */
  retireKey(): string {
    this.#prepare();
    this.#keys.signing.retire();
    advanceKeys(this.#keys.signing, this.#keyWriter);
    return this.#keys.signing.publicKey.text;
  }

  /** Ends the log cleanly: nothing stays pending, and the open epoch's key is left behind. */
  close(): void {
    try {
      this.#keys.signing.retry();
      this.#prepareRecord();
      this.#writeOwn('log.closed', { next_epoch: this.#epoch.number + 1, records: this.#seq + 1 });
      this.#finishMove();
      this.#keepTally();
    } finally {
      this.#failed ??= new AuditError('log_closed', 'the log is closed; open it again');
      this.#closeSegment();
      this.#archiver.close();
      this.#contents.close();
    }
  }

  /** Brings the log into a state in which a record may be written next. */
  #prepare(): void {
    this.#checkUsable();
    this.#reserve.restore();
    this.#prepareRecord();
  }

  #prepareRecord(): void {
    this.#checkUsable();
    if (this.#moving) this.#finishMove();
    finishKeyRecord(this.#keys.signing, this.#keyWriter);
    this.#mendSegment();
    advanceKeys(this.#keys.signing, this.#keyWriter);
    if (this.#epochDue(this.#clock.monotonicMs())) this.#endEpoch('age');
    this.#sealIfDue();
    this.#ensureSegment();
    this.#checkClock();
    this.#recordErasure();
  }

  /** After a failed write the next segment begins by saying so: the one before ends without a seal. */
  #mendSegment(): void {
    if (this.#writeError === undefined) return;
    this.#writeOwn('log.recovered', {
      reason: 'write_failed',
      records_after_head: this.#seq - this.#publisher.head.size,
      torn_bytes: 0,
      error: this.#writeError,
    });
    this.#writeError = undefined;
  }

  #checkUsable(): void {
    if (this.#failed) throw this.#failed;
  }

  #checkClock(): void {
    const jump = this.#clockWatch.look();
    if (jump !== undefined) this.#writeClockJump(jump.expectedMs, jump.nowMs);
    this.#clockWatch.seen();
  }

  #writeClockJump(expectedMs: number, nowMs: number): void {
    this.#writeOwn('log.clock_jump', {
      jump_ms: Math.round(nowMs - expectedMs),
      previous: formatTime(Math.round(expectedMs)),
      now: formatTime(nowMs),
    });
  }

  /** Writes one of the log's own records in a group of its own. */
  #writeOwn(type: LogEventType, details: JsonObject, wallMs = this.#clock.wallMs()): void {
    this.#ensureSegment();
    const body = Buffer.from(encodeLogEvent(type, wallMs, details));
    this.#addLine(body, 0, body.length);
    const seq = this.#seq;
    const { segment, leaves, bytes } = this.#flush();
    if (endsEpoch(type)) this.#moving = type;
    this.#tree.append(leaves);
    segment.tally.addLines(bytes);
    this.#state = advanceState(this.#state, { type, seq, leaf: leaves[0]!, details });
  }

  #addLine(source: Buffer, from: number, to: number): void {
    const seq = this.#seq + this.#group.count;
    this.#group.add(source, from, to, seq, this.#epoch.number, this.#epoch.hasher);
  }

  #hasRoom(): boolean {
    const filled = this.#group.byteLength;
    if (filled === 0) return true;
    if (this.#contents.isFull) return false;
    const { segmentBytesMax } = this.#options;
    return filled < groupBytesMax && (this.#segment?.bytes ?? 0) + filled < segmentBytesMax;
  }

  /** Writes and syncs the group; only then do its records exist. Returns what is derived of them; the bytes until the next line. */
  #flush(): { segment: OpenSegment; leaves: readonly string[]; bytes: Buffer } {
    const group = this.#group;
    const segment = this.#ensureSegment();
    const sync = this.#options.durability === 'sync';
    this.#stopIf(() => segment.file.checkSize());
    this.#contents.store(segment.firstSeq, sync);
    const from = segment.file.bytes;
    try {
      segment.file.append(group.bytes, sync);
      this.#stopIf(() => this.#places.check(segment.file));
    } catch (error) {
      // Where a look that failed leaves open whether readers have them, they are taken back too.
      if (!this.#failed) this.#cutBack(segment, from, error);
      throw error;
    }
    const nowMs = this.#clock.monotonicMs();
    if (!sync) this.#syncDueMs ??= nowMs + this.#options.syncIntervalMs;
    this.#epoch.noteRecord(nowMs);
    segment.noteRecord(this.#clock.wallMs());
    this.#seq += group.count;
    this.#bytes += group.byteLength;
    this.#prevHash = group.hash;
    this.#lastTimestamp = group.lastTimestamp;
    this.#lastPlace = segment.place;
    const { leaves, bytes } = group;
    group.restart(this.#prevHash);
    return { segment, leaves, bytes };
  }

  /** Where a check finds that records do not go where they should, none does any more. */
  #stopIf(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (error instanceof AuditError) this.#failed = error;
      throw error;
    }
  }

  /** Undoes a failed write: what was not synced is gone, whatever a read may show. */
  #cutBack(segment: OpenSegment, to: number, cause: unknown): void {
    this.#group.restart(this.#prevHash);
    this.#segment = undefined;
    this.#writeError = systemCode(cause) ?? 'unknown';
    try {
      // What was acknowledged before it was synced cannot be told apart from what must go.
      if (this.#options.durability !== 'sync') throw cause;
      segment.file.cutBack(to);
    } catch (error) {
      this.#failed = new AuditError(
        'log_failed',
        `${segment.file.path}: a write failed (${reasonOf(cause)}) and could not be undone (${reasonOf(error)}); close the log and open it again`,
        { cause },
      );
    } finally {
      segment.close();
    }
  }

  #sync(): void {
    if (this.#syncDueMs === undefined || this.#segment === undefined) return;
    try {
      this.#contents.sync();
      this.#segment.file.sync();
    } catch (error) {
      this.#cutBack(this.#segment, this.#segment.bytes, error);
      throw error;
    }
    this.#syncDueMs = undefined;
  }

  #ensureSegment(): OpenSegment {
    const { dir } = this.#options;
    this.#segment ??= OpenSegment.create(dir, this.#seq, this.#keys, this.#tree.edge());
    return this.#segment;
  }

  #closeSegment(): void {
    this.#segment?.close();
    this.#segment = undefined;
  }

  /** Rolls the segment when that is due. */
  #sealIfDue(): void {
    const reason = this.#segment?.sealReason(this.#options, this.#clock.wallMs());
    if (this.#segment === undefined || reason === undefined) return;
    if (this.#signerAnswers(this.#clock.monotonicMs())) this.#seal(this.#segment, reason);
  }

  /** An idle log's segment is sealed too when its period has ended. */
  #sealAtPeriodEnd(): void {
    if (this.#segment?.periodEnded(this.#options.rotate, this.#clock.wallMs())) this.#sealIfDue();
  }

  /** The tally is durable before the seal that names its root. Retention goes by the seal's time, so a jump is recorded first. */
  #seal(segment: OpenSegment, reason: SealReason): void {
    this.#checkClock();
    const facts = segment.writeTally(this.#seq);
    const details = { next_epoch: this.#epoch.number + 1, ...facts, reason };
    this.#writeOwn('log.sealed', details, this.#clockWatch.wallMs);
    this.#finishMove();
    this.#pruning.ask();
  }

  /** What is counted of the open segment is kept for whoever goes on in it. */
  #keepTally(): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    const place = { segment: segment.firstSeq, offset: segment.bytes };
    segment.tally.keep({ ...place, size: this.#tree.size, frontier: this.#tree.edge() });
  }

  #epochDue(nowMs: number): boolean {
    const { startMs } = this.#epoch;
    const due = startMs !== undefined && nowMs - startMs >= this.#options.epochMs;
    return due && (this.#moving !== undefined || this.#signerAnswers(nowMs));
  }

  /**
   * What ends an epoch must be signed before the next record, so a signer elsewhere is asked first: while it is away, epochs
   * and segments go on, and records with them.
   */
  #signerAnswers(nowMs: number): boolean {
    const { signing } = this.#keys;
    if (!signing.remote) return true;
    try {
      const { origin, size, root } = this.#publisher.head;
      signCheckpoint({ origin, size, root }, signing.signers);
      return true;
    } catch {
      this.#tickAgainMs = nowMs + tickPauseMs;
      return false;
    }
  }

  #endEpoch(reason: 'age' | 'opened'): void {
    if (this.#moving === undefined) {
      this.#writeOwn('log.epoch', { next_epoch: this.#epoch.number + 1, reason });
    }
    this.#finishMove();
  }

  /**
   * What follows the last record of an epoch, in this order and repeatable from any step: checkpoint durable, next key
   * durable, after a seal the new segment and its folder synced, old key erased.
   */
  #finishMove(): void {
    this.#publish();
    this.#epoch.advance(() => {
      if (this.#moving !== 'log.sealed') return;
      if (this.#segment !== undefined && this.#segment.firstSeq < this.#seq) this.#closeSegment();
      this.#ensureSegment();
    });
    this.#moving = undefined;
  }

  #hasNews(): boolean {
    return this.#seq > this.#publisher.head.size;
  }

  #checkpointDue(nowMs: number): boolean {
    return this.#hasNews() && nowMs - this.#checkpointMs >= this.#options.checkpointIntervalMs;
  }

  /** A checkpoint that fails is tried again when the next is due; the records it would have covered stay pending. */
  #tryCheckpoint(): void {
    try {
      this.#publish();
    } catch (error) {
      if (this.#failed) throw error;
    }
  }

  /** Publishes a checkpoint of everything that is on disk. */
  #publish(wanted?: 'durable' | 'kept'): void {
    this.#sync();
    this.#stopIf(() => this.#places.check(this.#segment?.file));
    this.#checkpointMs = this.#clock.monotonicMs();
    const tip = {
      size: this.#tree.size,
      root: this.#tree.root(),
      frontier: this.#tree.edge(),
      epoch: this.#epoch.number + (this.#moving === undefined ? 0 : 1),
      leaf: this.#tree.lastLeaf,
      hash: this.#prevHash,
      ...this.#lastPlace,
      bytes: this.#bytes,
      state: this.#state,
      wallMs: this.#clock.wallMs(),
      boot: this.#clock.boot() ?? null,
      timestamp: this.#lastTimestamp,
    };
    const lasting =
      wanted ??
      (this.#moving === undefined
        ? 'published'
        : this.#moving === 'log.sealed'
          ? 'kept'
          : 'durable');
    this.#publisher.publish(tip, lasting, () => this.#tree.writePartialTiles());
  }
}

function asWriteFailure(error: unknown): AuditError {
  if (error instanceof AuditError) return error;
  const message = `the record could not be written: ${reasonOf(error)}`;
  return new AuditError('write_failed', message, { cause: error });
}
