import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder, writeWhole } from '../../whole-file.js';
import { GateError } from '../errors.js';

/** What was used of one key of a quota when it was last counted. */
export interface QuotaCount {
  /** The limit's, as a digest. */
  readonly id: string;
  readonly key: string;
  /** Ms since 1970. */
  readonly atMs: number;
  readonly used: number;
  /** When its period ends: then it says nothing any more. */
  readonly untilMs: number;
}

/** Under which it is said that a quota was reset after something of it was missing. */
export function resetId(id: string): string {
  return `${id}!`;
}

export interface QuotaJournalOptions {
  readonly path: string;
  /** Names the run of the machine: what was written and not synced before a power loss may be gone. */
  readonly boot: string | undefined;
  readonly wallMs?: (() => number) | undefined;
}

/** No calendar period is longer. */
export const periodMsMax = 32 * 86_400_000;
const bytesMax = 256 * 1024 * 1024;
/** So many lines at least are written before the file is written anew, without those that say nothing any more. */
const linesMin = 10_000;

/**
 * A file (mode 0600) with what is used of quotas, a line for each call that counts, written before it is let through: a quota lasts
 * longer than the process that counts it, which may be killed. Each line says all that its key has used, so the last one holds.
 */
export class QuotaJournal {
  readonly #path: string;
  readonly #boot: string | undefined;
  readonly #wallMs: () => number;
  readonly #counts = new Map<string, QuotaCount>();
  #fd: number | undefined;
  #lines = 0;
  #linesMax = linesMin;
  #missingMs: number | undefined;
  /** Whether the file says that there may be more than is in it, and lines can be added to it. */
  #isOpen = false;
  /** Whether what is known is not all in the file, for a line could not be added. */
  #isBehind = false;

  constructor({ path, boot, wallMs = Date.now }: QuotaJournalOptions) {
    this.#path = path;
    this.#boot = boot;
    this.#wallMs = wallMs;
    const found = readJournal(path);
    // Whoever counts makes the file first, so where there is none nothing was counted.
    if (found === 'none') return;
    const now = wallMs();
    const since = now - periodMsMax;
    const isWhole =
      found !== 'damaged' && (found.isClosed || (boot !== undefined && found.boot === boot));
    for (const count of found === 'damaged' ? [] : found.counts) {
      // A reset was of what was missing then.
      if (isWhole || !count.id.endsWith(resetId(''))) this.#counts.set(placeOf(count), count);
    }
    const before = found === 'damaged' ? 0 : (found.missingMs ?? 0);
    if (!isWhole) this.#missingMs = now;
    else if (before >= since) this.#missingMs = before;
    if (!isWhole || !found.isClosed) this.#rewrite(true);
  }

  /** Where something is missing of what earlier holders counted: when they last may have, in ms since 1970. */
  get missingMs(): number | undefined {
    return this.#missingMs;
  }

  /** What is used of a limit, as far as it is known. */
  countsOf(id: string): QuotaCount[] {
    return [...this.#counts.values()].filter((count) => count.id === id);
  }

  /**
   * Before the call is let through.
   *
   * @throws GateError `state_unavailable`; the file is written anew with the next one
   */
  write(count: QuotaCount): void {
    this.#counts.set(placeOf(count), count);
    try {
      if (!this.#isOpen || this.#lines >= this.#linesMax) this.#rewrite(false);
      this.#fd ??= fs.openSync(this.#path, 'a', 0o600);
      const line = Buffer.from(lineOf(count));
      const written = fs.writeSync(this.#fd, line);
      if (written < line.length) throw new Error(`${written} of ${line.length} bytes are written`);
      this.#lines++;
    } catch (cause) {
      this.#isOpen = false;
      this.#isBehind = true;
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `what is used of a quota cannot be written to ${this.#path} (${why})`;
      throw new GateError('state_unavailable', message, { cause });
    }
  }

  /** Nothing is used of these limits any more; where they are all that there are, nothing is missing. */
  forget(ids: ReadonlySet<string>, isAll: boolean): void {
    const before = this.#counts.size;
    for (const [place, { id }] of this.#counts) {
      if (isAll || ids.has(id)) this.#counts.delete(place);
    }
    const wasMissing = isAll && this.#missingMs !== undefined;
    if (isAll) this.#missingMs = undefined;
    if (wasMissing || this.#counts.size < before) this.#rewrite(!this.#isOpen);
  }

  /** Nobody counts from now on: what is written is on disk, and all there is. */
  close(): void {
    if (this.#isOpen || this.#isBehind) this.#rewrite(true);
  }

  #rewrite(isClosed: boolean): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
    const now = this.#wallMs();
    for (const [place, { untilMs }] of this.#counts) if (untilMs <= now) this.#counts.delete(place);
    const facts = { boot: this.#boot, closed: isClosed, missingMs: this.#missingMs };
    const head = `${JSON.stringify({ version: 1, ...facts })}\n`;
    writeWhole(this.#path, head + [...this.#counts.values()].map(lineOf).join(''));
    // A power loss must not bring back a file that says that nothing is counted beyond it.
    syncFolder(dirname(this.#path));
    this.#lines = this.#counts.size;
    this.#linesMax = Math.max(linesMin, 2 * this.#lines);
    this.#isOpen = !isClosed;
    this.#isBehind = false;
  }
}

function placeOf({ id, key }: QuotaCount): string {
  return `${id} ${key}`;
}

function lineOf({ id, key, atMs, used, untilMs }: QuotaCount): string {
  return `${JSON.stringify([id, key, atMs, used, untilMs])}\n`;
}

interface FoundJournal {
  readonly boot: string | undefined;
  readonly isClosed: boolean;
  readonly missingMs: number | undefined;
  readonly counts: readonly QuotaCount[];
}

/** A last line without an end was never acted on. */
function readJournal(path: string): FoundJournal | 'none' | 'damaged' {
  const found = fs.statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 'none';
  if (found.size > bytesMax) return 'damaged';
  try {
    const [head = '', ...lines] = fs.readFileSync(path, 'utf8').split('\n').slice(0, -1);
    const { version, boot, closed, missingMs } = JSON.parse(head) as Readonly<
      Record<string, unknown>
    >;
    if (version !== 1) return 'damaged';
    return {
      boot: typeof boot === 'string' ? boot : undefined,
      isClosed: closed === true,
      missingMs: typeof missingMs === 'number' ? missingMs : undefined,
      counts: lines.map(countOf),
    };
  } catch {
    return 'damaged';
  }
}

function countOf(line: string): QuotaCount {
  const [id, key, ...numbers] = JSON.parse(line) as readonly unknown[];
  if (typeof id !== 'string' || typeof key !== 'string') throw new Error('it names no key');
  if (!numbers.every(Number.isFinite)) throw new Error('it has no number');
  const [atMs = Number.NaN, used = Number.NaN, untilMs = Number.NaN] = numbers as number[];
  if (Number.isNaN(untilMs)) throw new Error('it has too few numbers');
  return { id, key, atMs, used, untilMs };
}
