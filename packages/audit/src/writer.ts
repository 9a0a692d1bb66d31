import { createSecretKey, type KeyObject } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { endsEpoch, recordHash } from './chain.js';
import { signCheckpoint } from './checkpoint.js';
import { type Clock, clockJumpMs } from './clock.js';
import { makeFolder, replaceFile, replaceFileDurably, syncFolder, writeAll } from './durable.js';
import { AuditError, reasonOf, systemCode } from './errors.js';
import type { JsonObject } from './event.js';
import type { Head } from './head.js';
import {
  eraseEpochKey,
  initialKeyOnHost,
  type Keys,
  storeNextEpochKey,
  writeHead,
} from './keys.js';
import { encodeLogEvent, type LogEventType } from './log-events.js';
import type { WriterOptions } from './options.js';
import { formatTime, lineBytesMax } from './record.js';
import { type Standing, timestampOf } from './recovery.js';
import { segmentPath, segmentsFolder, sequenceName } from './segment.js';
import type { TileWriter } from './tiles.js';
import { type Frontier, leafHashInPlace } from './tree.js';

/** What one sync covers at most. */
const groupBytesMax = 4 * 1024 * 1024;
/** After a step that failed, nothing is tried again on its own before this. */
const tickPauseMs = 1_000;
const softwareName = 'gatebook-audit/0.1.0';

/** Hears what became of each record, in the order they were handed in. */
export interface Report {
  durable(firstSeq: number, count: number): void;
  failed(count: number, error: AuditError): void;
}

interface OpenSegment {
  readonly fd: number;
  readonly path: string;
  readonly firstSeq: number;
  /** Bytes that were written whole; in durability "sync" also synced. */
  bytes: number;
}

/**
 * Appends records: assigns seq, epoch and hashes, writes each group with one write and one sync, and only then says that
 * it is durable; grows the tree, makes checkpoints, moves the epoch keys, rolls the segments. One writer a log,
 * under the kernel lock. Synchronous: it runs on a thread of its own (`writer-thread.ts`).
 *
 * After a failed write or sync the bytes since the last good sync count as lost: they are cut off, and the log goes on
 * in a new segment, or, where that fails too, refuses everything until it is opened again.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #frontier: Frontier;
  readonly #tiles: TileWriter;
  readonly #group = Buffer.allocUnsafe(1 + groupBytesMax + lineBytesMax + 1);
  /** The group being built is `#group[1..#fill)`; the byte in front is for leaf hashes to borrow. */
  #fill = 1;
  #leaves: string[] = [];
  #groupHash: string;
  #lastLineAt = 1;
  #seq: number;
  #prevHash: string;
  #epoch: number;
  #key: Buffer;
  #keyObject: KeyObject;
  #lastLeaf: string;
  #lastTimestamp: string;
  #segment: OpenSegment | undefined;
  #head: Head;
  #published: boolean;
  /** The last record ended its epoch, and the steps that follow are not all done. */
  #moving: 'epoch' | 'sealed' | 'closed' | undefined;
  #epochStartMs: number | undefined;
  #checkpointMs: number;
  #syncDueMs: number | undefined;
  #tickAgainMs = 0;
  #lastClock: { wallMs: number; monotonicMs: number };
  #writeError: string | undefined;
  #tilesError: unknown;
  #failed: AuditError | undefined;

  constructor(options: WriterOptions, keys: Keys, standing: Standing, clock: Clock) {
    this.#options = options;
    this.#keys = keys;
    this.#clock = clock;
    this.#frontier = standing.frontier;
    this.#tiles = standing.tiles;
    this.#seq = standing.seq;
    this.#prevHash = standing.prevHash;
    this.#groupHash = standing.prevHash;
    this.#epoch = standing.epoch;
    this.#key = standing.epochKey;
    this.#keyObject = createSecretKey(standing.epochKey);
    this.#lastLeaf = standing.lastLeaf;
    this.#lastTimestamp = standing.lastTimestamp;
    this.#head = standing.head;
    this.#published = standing.published;
    this.#checkpointMs = clock.monotonicMs();
    this.#lastClock = { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
    this.#openStanding(standing);
  }

  get seq(): number {
    return this.#seq;
  }

  /** Takes up the log where it stands: finishes what was interrupted and writes the records of the opening. */
  #openStanding(standing: Standing): void {
    makeFolder(segmentsFolder(this.#options.dir));
    makeFolder(path.join(this.#options.dir, 'checkpoints'));
    const { segment } = standing;
    if (segment !== undefined) {
      const file = segmentPath(this.#options.dir, segment.firstSeq);
      const fd = fs.openSync(file, 'r+');
      this.#segment = { fd, path: file, firstSeq: segment.firstSeq, bytes: segment.bytes };
      // Recovery read these bytes; a crash may have left them unsynced, and checkpoints will cover them.
      fs.fsyncSync(fd);
      syncFolder(segmentsFolder(this.#options.dir));
    }
    if (standing.recordsAfterHead > 0 && endsEpoch(standing.lastType)) {
      this.#moving = movingAfter(standing.lastType);
      this.#finishMove();
    } else if (
      standing.lastType === 'log.sealed' &&
      segment !== undefined &&
      segment.firstSeq <= standing.head.segment
    ) {
      this.#closeSegment();
    }
    this.#recordOpening(standing);
  }

  #recordOpening(standing: Standing): void {
    // The record at seq 0 says what log this is, whatever else there is to say.
    if (standing.seq === 0) this.#writeOpened();
    this.#recordRecovery(standing);
    const now = this.#clock.wallMs();
    const last = Date.parse(standing.lastTimestamp);
    if (last - now >= clockJumpMs) this.#writeClockJump(last, now);
    if (standing.seq > 0) this.#writeOpened();
    this.checkpoint();
  }

  #recordRecovery(standing: Standing): void {
    const unclean = standing.seq > 0 && standing.lastType !== 'log.closed';
    const facts = { reason: 'unclean_shutdown', records_after_head: standing.recordsAfterHead };
    if (unclean && standing.torn.length === 0)
      this.#writeOwn('log.recovered', { ...facts, torn_bytes: 0 });
    for (const torn of standing.torn) {
      this.#writeOwn('log.recovered', {
        ...facts,
        torn_bytes: torn.bytes,
        torn_file: torn.file,
        torn_sha256: torn.sha256,
      });
    }
  }

  #writeOpened(): void {
    const initialKey = initialKeyOnHost(this.#keys.folder);
    this.#writeOwn('log.opened', {
      format: 1,
      origin: this.#keys.origin,
      public_key: this.#keys.publicKey.text,
      retention: { delete: 'never' },
      durability: this.#options.durability,
      checkpoint_interval_ms: this.#options.checkpointIntervalMs,
      segment_bytes_max: this.#options.segmentBytesMax,
      forward_security:
        initialKey === undefined
          ? { on: true }
          : { on: false, initial_key_file: path.basename(initialKey) },
      software: softwareName,
      pid: process.pid,
    });
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
        const firstSeq = this.#seq;
        let taken = 0;
        while (left > taken && this.#hasRoom()) {
          const end = batch.indexOf(10, at);
          this.#addLine(batch, at, end);
          at = end + 1;
          taken++;
        }
        this.#flush();
        report.durable(firstSeq, taken);
        left -= taken;
        this.#grow();
        if (this.#seq - this.#head.size >= this.#options.checkpointRecordsMax)
          this.#tryCheckpoint();
      }
    } catch (error) {
      this.#dropGroup();
      report.failed(left, asWriteFailure(error));
    }
  }

  /** Does what has become due: an epoch's end, a checkpoint, a sync. Called at least once an append and at `dueInMs`. */
  tick(): void {
    const now = this.#clock.monotonicMs();
    if (this.#failed || now < this.#tickAgainMs) return;
    try {
      if (this.#syncDueMs !== undefined && now >= this.#syncDueMs) this.#sync();
      if (this.#epochDue(now)) this.#endEpoch('age');
      if (this.#checkpointDue(now)) this.#tryCheckpoint();
    } catch {
      // Whoever appends next meets the same condition and gets the error.
      this.#dropGroup();
      this.#tickAgainMs = now + tickPauseMs;
    }
  }

  /** Milliseconds until `tick` has something to do; Infinity when nothing is open. */
  dueInMs(): number {
    const due = [
      this.#syncDueMs,
      this.#epochStartMs === undefined ? undefined : this.#epochStartMs + this.#options.epochMs,
      this.#seq > this.#head.size
        ? this.#checkpointMs + this.#options.checkpointIntervalMs
        : undefined,
    ].filter((ms) => ms !== undefined);
    if (this.#failed || due.length === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, Math.max(this.#tickAgainMs, Math.min(...due)) - this.#clock.monotonicMs());
  }

  /** Makes a checkpoint of everything written so far, if there is news, and returns the newest. */
  checkpoint(): string {
    this.#checkUsable();
    if (this.#moving) this.#finishMove();
    this.#publish();
    return this.#head.checkpoint;
  }

  /** Ends the log cleanly: nothing stays pending, and the open epoch's key is left behind. */
  close(): void {
    try {
      if (this.#failed) throw this.#failed;
      this.#prepare();
      this.#writeOwn('log.closed', { next_epoch: this.#epoch + 1, records: this.#seq + 1 });
      this.#finishMove();
    } finally {
      this.#failed ??= new AuditError('log_closed', 'the log is closed');
      if (this.#segment) fs.closeSync(this.#segment.fd);
      this.#segment = undefined;
    }
  }

  /** Brings the log into a state in which a record may be written next. */
  #prepare(): void {
    this.#checkUsable();
    if (this.#moving) this.#finishMove();
    if (this.#epochDue(this.#clock.monotonicMs())) this.#endEpoch('age');
    if (this.#segment !== undefined && this.#segment.bytes >= this.#options.segmentBytesMax)
      this.#seal('size');
    this.#ensureSegment();
    if (this.#writeError !== undefined) {
      this.#writeOwn('log.recovered', {
        reason: 'write_failed',
        records_after_head: this.#seq - this.#head.size,
        torn_bytes: 0,
        error: this.#writeError,
      });
      this.#writeError = undefined;
    }
    this.#checkClock();
  }

  #checkUsable(): void {
    if (this.#failed) throw this.#failed;
  }

  #checkClock(): void {
    const wallMs = this.#clock.wallMs();
    const monotonicMs = this.#clock.monotonicMs();
    const expected = this.#lastClock.wallMs + (monotonicMs - this.#lastClock.monotonicMs);
    if (Math.abs(wallMs - expected) >= clockJumpMs) this.#writeClockJump(expected, wallMs);
    this.#lastClock = { wallMs, monotonicMs };
  }

  #writeClockJump(expectedMs: number, nowMs: number): void {
    this.#writeOwn('log.clock_jump', {
      jump_ms: Math.round(nowMs - expectedMs),
      previous: formatTime(Math.round(expectedMs)),
      now: formatTime(nowMs),
    });
  }

  /** Writes one of the log's own records in a group of its own. */
  #writeOwn(type: LogEventType, details: JsonObject): void {
    this.#ensureSegment();
    const body = Buffer.from(encodeLogEvent(type, this.#clock.wallMs(), details));
    this.#addLine(body, 0, body.length);
    this.#flush();
    if (endsEpoch(type)) this.#moving = movingAfter(type);
    this.#grow();
  }

  #hasRoom(): boolean {
    const filled = this.#fill - 1;
    if (filled === 0) return true;
    return filled < groupBytesMax && this.#segment!.bytes + filled < this.#options.segmentBytesMax;
  }

  /** Adds one line to the group: the body framed by seq, epoch and the two hashes. */
  #addLine(body: Buffer, from: number, to: number): void {
    const group = this.#group;
    const start = this.#fill;
    let at = start + group.write(`{"seq":${this.#seq + this.#leaves.length},`, start, 'latin1');
    at += body.copy(group, at, from, to);
    at += group.write(`,"epoch":${this.#epoch},"prev_hash":"${this.#groupHash}"`, at, 'latin1');
    const hash = recordHash(this.#keyObject, group.subarray(start, at));
    at += group.write(`,"hash":"${hash}"}\n`, at, 'latin1');
    this.#leaves.push(leafHashInPlace(group, start, at - 1));
    this.#groupHash = hash;
    this.#fill = at;
    this.#lastLineAt = start;
  }

  /** Writes and syncs the group; only then do its records exist. */
  #flush(): void {
    const segment = this.#segment!;
    const bytes = this.#group.subarray(1, this.#fill);
    try {
      writeAll(segment.fd, bytes, segment.bytes);
      if (this.#options.durability === 'sync') fs.fdatasyncSync(segment.fd);
      else this.#syncDueMs ??= this.#clock.monotonicMs() + this.#options.syncIntervalMs;
    } catch (error) {
      this.#cutBack(segment, error);
      throw error;
    }
    segment.bytes += bytes.length;
    this.#seq += this.#leaves.length;
    this.#prevHash = this.#groupHash;
    this.#lastTimestamp = timestampOf(this.#group, this.#lastLineAt);
    this.#lastLeaf = this.#leaves.at(-1)!;
    this.#epochStartMs ??= this.#clock.monotonicMs();
    this.#fill = 1;
  }

  /** Grows the tree by the records just made durable; callers were told already. */
  #grow(): void {
    for (const leaf of this.#leaves) {
      this.#frontier.append(leaf, (level, hash) => this.#addTileHash(level, hash));
      this.#addTileHash(0, leaf);
    }
    this.#leaves = [];
  }

  /** Tiles are derived: when they cannot be written the log goes on, and the next opening rebuilds them. */
  #addTileHash(level: number, hash: string): void {
    if (this.#tilesError !== undefined) return;
    try {
      this.#tiles.append(level, hash);
    } catch (error) {
      this.#tilesError = error;
    }
  }

  #dropGroup(): void {
    this.#fill = 1;
    this.#leaves = [];
    this.#groupHash = this.#prevHash;
  }

  /** Undoes a failed write: what was not synced is gone, whatever a read may show. */
  #cutBack(segment: OpenSegment, cause: unknown): void {
    this.#dropGroup();
    this.#segment = undefined;
    this.#writeError = systemCode(cause) ?? 'unknown';
    try {
      if (this.#options.durability !== 'sync') throw cause;
      fs.ftruncateSync(segment.fd, segment.bytes);
      fs.fsyncSync(segment.fd);
      if (segment.bytes === 0) {
        fs.rmSync(segment.path);
        syncFolder(path.dirname(segment.path));
      }
    } catch (error) {
      this.#failed = new AuditError(
        'log_failed',
        `${segment.path}: a write failed (${reasonOf(cause)}) and could not be undone (${reasonOf(error)}); close the log and open it again`,
        { cause },
      );
    } finally {
      fs.closeSync(segment.fd);
    }
  }

  #sync(): void {
    if (this.#syncDueMs === undefined || this.#segment === undefined) return;
    try {
      fs.fdatasyncSync(this.#segment.fd);
    } catch (error) {
      this.#cutBack(this.#segment, error);
      throw error;
    }
    this.#syncDueMs = undefined;
  }

  #ensureSegment(): void {
    if (this.#segment !== undefined) return;
    const file = segmentPath(this.#options.dir, this.#seq);
    // An earlier attempt may have left the file without a record in it.
    if (fs.statSync(file, { throwIfNoEntry: false })?.size === 0) fs.rmSync(file);
    const fd = fs.openSync(file, 'wx+', 0o600);
    try {
      fs.fsyncSync(fd);
      syncFolder(segmentsFolder(this.#options.dir));
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    this.#segment = { fd, path: file, firstSeq: this.#seq, bytes: 0 };
  }

  #closeSegment(): void {
    if (this.#segment) fs.closeSync(this.#segment.fd);
    this.#segment = undefined;
  }

  #seal(reason: string): void {
    const segment = this.#segment!;
    this.#writeOwn('log.sealed', {
      next_epoch: this.#epoch + 1,
      first_seq: segment.firstSeq,
      records: this.#seq + 1 - segment.firstSeq,
      bytes: segment.bytes,
      reason,
    });
    this.#finishMove();
  }

  #epochDue(nowMs: number): boolean {
    return this.#epochStartMs !== undefined && nowMs - this.#epochStartMs >= this.#options.epochMs;
  }

  #endEpoch(reason: string): void {
    if (this.#moving === undefined) {
      this.#writeOwn('log.epoch', { next_epoch: this.#epoch + 1, reason });
    }
    this.#finishMove();
  }

  /**
   * What follows the last record of an epoch, in this order and repeatable from any step: checkpoint durable, next key
   * durable, after a seal the new segment and its folder synced, old key erased.
   */
  #finishMove(): void {
    const moving = this.#moving;
    if (moving === undefined) return;
    this.#publish();
    const next = storeNextEpochKey(this.#keys, this.#epoch, this.#key);
    if (moving === 'sealed') {
      if (this.#segment !== undefined && this.#segment.firstSeq < this.#seq) this.#closeSegment();
      this.#ensureSegment();
    }
    eraseEpochKey(this.#keys, this.#epoch);
    this.#epoch++;
    this.#key = next;
    this.#keyObject = createSecretKey(next);
    this.#epochStartMs = undefined;
    this.#moving = undefined;
  }

  #checkpointDue(nowMs: number): boolean {
    return (
      this.#seq > this.#head.size &&
      nowMs - this.#checkpointMs >= this.#options.checkpointIntervalMs
    );
  }

  /** A checkpoint that fails is tried again when the next is due; the records it would have covered stay pending. */
  #tryCheckpoint(): void {
    try {
      this.#publish();
    } catch (error) {
      if (this.#failed) throw error;
      this.#checkpointMs = this.#clock.monotonicMs();
    }
  }

  /** Signs and publishes the tree as it is on disk: head durable first, then tiles and checkpoint. */
  #publish(): void {
    this.#sync();
    this.#checkpointMs = this.#clock.monotonicMs();
    const { dir } = this.#options;
    if (this.#seq > this.#head.size) {
      this.#head = this.#nextHead();
      this.#published = false;
      writeHead(this.#keys, this.#head);
    }
    if (!this.#published) {
      this.#writePartialTiles();
      replaceFile(path.join(dir, 'checkpoint'), this.#head.checkpoint);
    }
    if (this.#moving !== undefined) {
      syncFolder(dir);
      if (this.#moving === 'sealed') {
        replaceFileDurably(
          path.join(dir, 'checkpoints', sequenceName(this.#head.size)),
          this.#head.checkpoint,
        );
      }
    }
    this.#published = true;
  }

  #nextHead(): Head {
    const size = this.#seq;
    const root = this.#frontier.root();
    if (this.#frontier.size !== size || this.#segment === undefined) {
      throw new AuditError(
        'log_failed',
        `the tree holds ${this.#frontier.size} leaves, the log ${size} records`,
      );
    }
    return {
      origin: this.#keys.origin,
      size,
      root,
      frontier: this.#frontier.toArray(),
      epoch: this.#moving === undefined ? this.#epoch : this.#epoch + 1,
      leaf: this.#lastLeaf,
      hash: this.#prevHash,
      segment: this.#segment.firstSeq,
      offset: this.#segment.bytes,
      timestamp: this.#lastTimestamp,
      checkpoint: signCheckpoint({ origin: this.#keys.origin, size, root }, this.#keys.signingKey),
    };
  }

  #writePartialTiles(): void {
    if (this.#tilesError !== undefined) return;
    try {
      this.#tiles.writePartials();
    } catch (error) {
      this.#tilesError = error;
    }
  }
}

function movingAfter(type: string): 'epoch' | 'sealed' | 'closed' {
  if (type === 'log.sealed') return 'sealed';
  return type === 'log.closed' ? 'closed' : 'epoch';
}

function asWriteFailure(error: unknown): AuditError {
  if (error instanceof AuditError) return error;
  return new AuditError('write_failed', `the record could not be written: ${reasonOf(error)}`, {
    cause: error,
  });
}
