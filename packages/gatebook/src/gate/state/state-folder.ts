import * as fs from 'node:fs';
import { join } from 'node:path';
import { syncFolder, writeWhole } from '../../whole-file.js';
import type { StateSnapshot } from './gate-state.js';

/** How old the mark of a holder that lives may be. */
export const markMs = 1_000;
const snapshotBytesMax = 64 * 1024 * 1024;

/** What the holder before this one left. */
export type Left =
  | { readonly kind: 'nothing' }
  /** `unsure`: calls may have been left without an outcome. */
  | { readonly kind: 'snapshot'; readonly state: StateSnapshot; readonly unsure: boolean }
  /** It ended without a word, or its word cannot be read; the time is the last at which it may have lived, in ms since 1970. */
  | { readonly kind: 'lost'; readonly atMs: number };

/**
 * A folder beside the log's keys (mode 0700) in which a holder says that it holds, and at its end what was used. The mark is there while
 * one holds and is set anew each second, so that of one that was killed it is known until when it may have let calls through.
 */
export class StateFolder {
  readonly #dir: string;
  readonly #mark: string;
  readonly #snapshot: string;
  readonly #searched: string;
  #markedMs = 0;

  constructor(dir: string) {
    this.#dir = dir;
    this.#mark = join(dir, 'holder');
    this.#snapshot = join(dir, 'state.json');
    this.#searched = join(dir, 'searched');
  }

  /** Begins to hold, and says what the one before left. */
  begin(): Left {
    fs.mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const left = this.left();
    fs.writeFileSync(this.#mark, `${process.pid}\n`, { mode: 0o600 });
    this.touch();
    fs.rmSync(this.#snapshot, { force: true });
    // A power loss must not bring the snapshot back, in which nothing of what is let through from now on is used.
    syncFolder(this.#dir);
    return left;
  }

  /** Before anything is let through: says that this holder lives. */
  touch(): void {
    const now = Date.now();
    if (now - this.#markedMs < markMs && now >= this.#markedMs) return;
    fs.utimesSync(this.#mark, now / 1000, now / 1000);
    this.#markedMs = now;
  }

  /** Ends holding in order. `unsure`: whoever holds next has to look for calls without an outcome. */
  end(state: StateSnapshot, unsure: boolean): void {
    writeWhole(this.#snapshot, JSON.stringify({ version: 1, state, unsure }));
    fs.rmSync(this.#mark, { force: true });
  }

  /** The seq before which no call lacks an outcome; 0 where that is not known. */
  get searchedTo(): number {
    try {
      const seq = Number(fs.readFileSync(this.#searched, 'utf8'));
      return Number.isSafeInteger(seq) && seq >= 0 ? seq : 0;
    } catch {
      return 0;
    }
  }

  set searchedTo(seq: number) {
    writeWhole(this.#searched, `${seq}\n`);
  }

  /** What the holder before left, or, while one holds, that it may be lost. */
  left(): Left {
    const marked = fs.statSync(this.#mark, { throwIfNoEntry: false });
    if (marked !== undefined) return { kind: 'lost', atMs: marked.mtimeMs + markMs };
    const found = fs.statSync(this.#snapshot, { throwIfNoEntry: false });
    if (found === undefined) return { kind: 'nothing' };
    const lost: Left = { kind: 'lost', atMs: found.mtimeMs + markMs };
    if (found.size > snapshotBytesMax) return lost;
    try {
      const { version, state, unsure } = JSON.parse(fs.readFileSync(this.#snapshot, 'utf8')) as {
        version?: unknown;
        state: StateSnapshot;
        unsure?: unknown;
      };
      return version === 1 ? { kind: 'snapshot', state, unsure: unsure !== false } : lost;
    } catch {
      return lost;
    }
  }
}
