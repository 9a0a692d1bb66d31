import * as fs from 'node:fs';
import * as path from 'node:path';
import { syncFolder, writeAll } from './durable.js';
import { AuditError } from './errors.js';
import { segmentPath, segmentsFolder } from './segment.js';

/** The segment that is being written. */
export class SegmentFile {
  readonly path: string;
  readonly firstSeq: number;
  /** What tells this file from another under its name. */
  readonly identity: { readonly dev: number; readonly ino: number };
  readonly #fd: number;
  #bytes: number;

  private constructor(file: string, fd: number, firstSeq: number, bytes: number) {
    this.path = file;
    this.#fd = fd;
    this.identity = fs.fstatSync(fd);
    this.firstSeq = firstSeq;
    this.#bytes = bytes;
  }

  /** Makes a new segment, durably: the file is there before a record in it counts. */
  static create(dir: string, firstSeq: number): SegmentFile {
    const file = segmentPath(dir, firstSeq);
    // An earlier attempt may have left the file without a record in it.
    if (fs.statSync(file, { throwIfNoEntry: false })?.size === 0) fs.rmSync(file);
    const fd = fs.openSync(file, 'wx+', 0o600);
    try {
      fs.fsyncSync(fd);
      syncFolder(segmentsFolder(dir));
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    return new SegmentFile(file, fd, firstSeq, 0);
  }

  /** Takes up a segment behind its last good record. */
  static resume(dir: string, firstSeq: number, bytes: number): SegmentFile {
    const file = segmentPath(dir, firstSeq);
    const fd = fs.openSync(file, 'r+');
    try {
      // Recovery read these bytes, but a crash may have left them unsynced, and checkpoints will cover them.
      fs.fsyncSync(fd);
      syncFolder(segmentsFolder(dir));
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    return new SegmentFile(file, fd, firstSeq, bytes);
  }

  /** Bytes of whole records; in durability "sync" also synced. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Throws `log_failed` when somebody else has written to the file or cut it. */
  checkSize(): void {
    const { size } = fs.fstatSync(this.#fd);
    if (size === this.#bytes) return;
    throw new AuditError(
      'log_failed',
      `${this.path} has ${size} bytes, but ${this.#bytes} were written: somebody else changed it while the log was open. Run gatebook audit verify, and open the log again`,
    );
  }

  /** Writes whole lines behind the last; they count once this returns. */
  append(lines: Uint8Array, sync: boolean): void {
    writeAll(this.#fd, lines, this.#bytes);
    if (sync) this.sync();
    this.#bytes += lines.length;
  }

  sync(): void {
    fs.fdatasyncSync(this.#fd);
  }

  /** Cuts off, durably, what stands behind the last good record, which ends at `to`; a file without records goes. */
  cutBack(to: number): void {
    fs.ftruncateSync(this.#fd, to);
    fs.fsyncSync(this.#fd);
    this.#bytes = to;
    if (to > 0) return;
    fs.rmSync(this.path);
    syncFolder(path.dirname(this.path));
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
