import type { AuditLog } from '@gatebook/audit';
import { hasGone } from '../emitter-life.js';
import { openCalls, unknownOutcome } from '../lost-calls.js';
import type { StateFolder } from './state-folder.js';

/** The log in which calls may lack an outcome. */
export interface SearchedBook {
  readonly dir: string;
  /** The log, once it is open. */
  readonly log: () => Promise<Pick<AuditLog, 'append' | 'content'>>;
}

/** Records of calls whose gate has gone that nobody knows how they ended. */
export class LostCallSearch {
  readonly #book: SearchedBook;
  readonly #folder: StateFolder;
  #last: Promise<void> = Promise.resolve();
  #running = 0;
  /** Calls of processes that live, or may. */
  #open = 0;
  #failed = false;
  #stopped = false;

  constructor(book: SearchedBook, folder: StateFolder) {
    this.#book = book;
    this.#folder = folder;
  }

  /** Whether, as far as was looked, no call lacks an outcome. */
  get isDone(): boolean {
    return this.#running === 0 && this.#open === 0 && !this.#failed;
  }

  /** Looks once, after whatever is being looked for. `gone`: an emitter that has gone, though its name does not show it. Never rejects. */
  run(gone?: string): Promise<void> {
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

  async #search(gone: string | undefined): Promise<void> {
    if (this.#stopped) return;
    const log = await this.#book.log();
    const { intents, nextSeq } = await openCalls(this.#book.dir, this.#folder.searchedTo);
    let searchedTo = nextSeq;
    let open = 0;
    for (const intent of intents) {
      const isLost = intent.emitter === gone || hasGone(intent.emitter, intent.timestamp);
      const event = isLost ? unknownOutcome(intent, log.content === 'personal') : undefined;
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
}
