import type { AuditLog, LogRecord } from '@gatebook/audit';
import { hasGone } from '../emitter-life.js';
import { openCalls, unknownOutcome } from '../lost-calls.js';
import type { StateFolder } from './state-folder.js';

/** The log in which calls may lack an outcome. */
export interface SearchedBook {
  readonly dir: string;
  /** The log, once it is open. */
  readonly log: () => Promise<Pick<AuditLog, 'append' | 'content'>>;
}

/** An emitter that has gone, though its name does not show it. */
export interface GoneEmitter {
  readonly emitter: string;
  /** When, in ms since 1970: what was recorded since is another's of the same name. */
  readonly atMs: number;
}

/** Records of calls whose gate has gone that nobody knows how they ended. */
export class LostCallSearch {
  readonly #book: SearchedBook;
  readonly #folder: StateFolder;
  readonly #gates: () => readonly number[];
  #last: Promise<void> = Promise.resolve();
  #running = 0;
  /** Calls of processes that live, or may. */
  #open = 0;
  #failed = false;
  #stopped = false;

  /** `gates`: the processes that have a gate now. */
  constructor(book: SearchedBook, folder: StateFolder, gates: () => readonly number[]) {
    this.#book = book;
    this.#folder = folder;
    this.#gates = gates;
  }

  /** Whether, as far as was looked, no call lacks an outcome. */
  get isDone(): boolean {
    return this.#running === 0 && this.#open === 0 && !this.#failed;
  }

  /** Looks once, after whatever is being looked for. Never rejects. */
  run(gone?: GoneEmitter): Promise<void> {
    this.#running++;
    this.#last = this.#last
      .then(() => this.#search(gone))
      .then(
        () => {
          this.#failed = false;
        },
        () => {
          // The next holder looks again.
          this.#failed = true;
        },
      )
      .finally(() => {
        this.#running--;
      });
    return this.#last;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #search(gone: GoneEmitter | undefined): Promise<void> {
    if (this.#stopped) return;
    const log = await this.#book.log();
    const { intents, nextSeq } = await openCalls(this.#book.dir, this.#folder.searchedTo);
    let searchedTo = nextSeq;
    let open = 0;
    for (const intent of intents) {
      const event = this.#isLost(intent, gone)
        ? unknownOutcome(intent, log.content === 'personal')
        : undefined;
      if (event !== undefined && !this.#stopped) {
        await log.append(event);
        continue;
      }
      searchedTo = Math.min(searchedTo, intent.seq);
      open++;
    }
    this.#open = open;
    if (!this.#stopped) this.#folder.searchedTo = searchedTo;
  }
  /** By the clock alone, one that was set forward after an intent, whoever wrote it would seem to have begun later. */
  #isLost({ emitter, timestamp }: LogRecord, gone: GoneEmitter | undefined): boolean {
    const recordedMs = Date.parse(timestamp);
    if (emitter === gone?.emitter) return recordedMs < gone.atMs;
    // Before this process began, by the clock as it was then, another one had its id: in a container each gate may have the same.
    if (emitter === `pid:${process.pid}` && recordedMs >= performance.timeOrigin - 1_000)
      return false;
    const others = this.#gates().filter((pid) => pid !== process.pid);
    if (others.some((pid) => emitter === `pid:${pid}`)) return false;
    return hasGone(emitter, timestamp);
  }
}
