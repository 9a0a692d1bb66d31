import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { ArchiveFile } from './archive-file.js';
import { encodeMember, memberLines } from './archive-format.js';
import { writeAll } from './durable.js';
import { AuditError } from './errors.js';
import { seqOf } from './kept.js';
import { LineFile } from './line-file.js';
import { tileLeaves } from './tiles.js';
import { leafHashInPlace } from './tree.js';

/** Which segment of the log `dir`, from what file to what file. */
export interface ArchiveTask {
  readonly dir: string;
  readonly firstSeq: number;
  readonly endSeq: number;
  readonly source: string;
  readonly target: string;
}

/**
 * Writes the archive of the sealed segment in `source` to `target`, synced but not under its name for good. Every line must have its leaf in
 * the tiles of the log `dir`, so that nothing that was tampered with is made anew; what was written is read back and compared.
 * `endSeq` is the seq behind the segment's last record. Throws `log_damaged` and leaves no file where something is not as it was written.
 * `goesOn` is asked between members; where it says false, that is `log_closed`, and no file is left either.
 */
export function makeArchive(task: ArchiveTask, goesOn: () => boolean = () => true): void {
  const { firstSeq, target } = task;
  // Whoever was stopped while writing an earlier one may still hold that file.
  fs.rmSync(target, { force: true });
  const output = fs.openSync(target, 'wx', 0o600);
  try {
    const plain = compress(task, output, goesOn);
    fs.fsyncSync(output);
    if (hashOf(target, firstSeq, goesOn) !== plain)
      throw new AuditError('log_damaged', `${target} does not read back as what was written to it`);
  } catch (error) {
    fs.rmSync(target, { force: true });
    throw error;
  } finally {
    fs.closeSync(output);
  }
}

/** Gives the SHA-256 of the lines. */
function compress(task: ArchiveTask, output: number, goesOn: () => boolean): string {
  const { dir, firstSeq, endSeq, source } = task;
  const hash = createHash('sha256');
  const lines = new LineFile(source);
  let member: Buffer[] = [];
  let written = 0;
  let seq = firstSeq;
  try {
    for (const leaf of tileLeaves(dir, firstSeq, endSeq)) {
      if (!lines.next() || seqOf(lines.buf, lines.start) !== seq) break;
      if (leafHashInPlace(lines.buf, lines.start, lines.end) !== leaf) break;
      member.push(Buffer.from(lines.buf.subarray(lines.start, lines.end + 1)));
      seq++;
      if (seq % memberLines !== 0 && seq !== endSeq) continue;
      const bytes = Buffer.concat(member);
      member = [];
      checkGoesOn(goesOn);
      hash.update(bytes);
      const encoded = encodeMember(bytes);
      writeAll(output, encoded, written);
      written += encoded.length;
    }
    if (seq !== endSeq || lines.next() || lines.rest().length > 0)
      throw new AuditError(
        'log_damaged',
        `${source} does not hold the records that the tree has from ${firstSeq} to ${endSeq - 1}; it stays as it is. Run gatebook audit verify`,
      );
    return hash.digest('hex');
  } finally {
    lines.close();
  }
}

function checkGoesOn(goesOn: () => boolean): void {
  if (!goesOn()) throw new AuditError('log_closed', 'the log is being closed');
}

function hashOf(file: string, firstSeq: number, goesOn: () => boolean): string {
  const hash = createHash('sha256');
  const archive = new ArchiveFile(file, firstSeq);
  const block = Buffer.alloc(1024 * 1024);
  try {
    for (let at = 0; ; ) {
      const got = archive.read(block, 0, block.length, at);
      if (got === 0) return hash.digest('hex');
      hash.update(block.subarray(0, got));
      at += got;
      checkGoesOn(goesOn);
    }
  } finally {
    archive.close();
  }
}
