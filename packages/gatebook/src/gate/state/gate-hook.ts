import { join } from 'node:path';
import type { Caller, HookEnd, HookMaker, MessageHook } from '@gatebook/audit';
import { within } from '../../mcp/delay.js';
import type { GateState } from './gate-state.js';
import type { LostCallSearch, SearchedBook } from './lost-call-search.js';
import type { OperatorDoor } from './operator-door.js';
import type { QuotaJournal } from './quota-journal.js';
import type { Left, StateFolder } from './state-folder.js';

/** Where the holder keeps what the next one must know. */
export function stateFolderOf(keysDir: string): string {
  return join(keysDir, 'gate');
}

interface Holding {
  readonly state: GateState;
  readonly folder: StateFolder;
  readonly journal: QuotaJournal;
  readonly door: OperatorDoor;
  readonly search: LostCallSearch | undefined;
}

/**
 * Makes the hook by which the process that writes a log holds what all gates over that log share. Its code is loaded at the first
 * message: most processes that write a log never get one. `book`: the log itself, in which calls whose gate has gone are then recorded
 * as having an unknown outcome.
 */
export function gateHook(keysDir: string, book?: SearchedBook): HookMaker {
  return () => new GateHook(keysDir, book);
}

/** How long the first message waits until the calls that were left without an outcome are recorded; the search goes on without it. */
const searchMs = 1_000;

class GateHook implements MessageHook {
  readonly #keysDir: string;
  readonly #book: SearchedBook | undefined;
  #holding: Promise<Holding> | undefined;
  #held: Holding | undefined;
  /** Once all that came during the beginning has its answer, in its order. */
  #ready: Holding | undefined;
  #closed = false;
  #begun: { readonly folder: StateFolder; readonly left: Left } | undefined;

  constructor(keysDir: string, book: SearchedBook | undefined) {
    this.#keysDir = keysDir;
    this.#book = book;
  }

  answer(message: string, from: Caller): string | Promise<string> {
    if (this.#ready !== undefined) return answered(this.#ready, message, from);
    this.#holding ??= this.#begin().catch((error) => {
      // What the one before left is known still, so the next message may try again.
      if (this.#held === undefined) this.#holding = undefined;
      throw error;
    });
    return this.#holding.then((held) => answered(held, message, from));
  }

  left(caller: Caller): void {
    const gone = this.#held?.state.left(caller);
    if (gone?.unsure !== true) return;
    const { emitter } = gone;
    void this.#held?.search?.run(emitter === undefined ? undefined : { emitter, atMs: Date.now() });
  }

  close(how: HookEnd): void {
    this.#closed = true;
    this.#held?.door.close();
    if (this.#held === undefined) return;
    const { state, folder, journal, search } = this.#held;
    const unsure = state.hasGates || search?.isDone === false;
    search?.stop();
    if (how !== 'clean') return;
    journal.close();
    folder.end(state.snapshot(), unsure);
  }

  async #begin(): Promise<Holding> {
    const { GateState } = await import('./gate-state.js');
    const { StateFolder } = await import('./state-folder.js');
    const { OperatorDoor } = await import('./operator-door.js');
    // Another process may hold by now.
    if (this.#closed) throw new Error('the log was closed');
    const place = stateFolderOf(this.#keysDir);
    this.#begun ??= begin(new StateFolder(place));
    const { folder, left } = this.#begun;
    const { QuotaJournal } = await import('./quota-journal.js');
    const { bootId } = await import('../process-facts.js');
    const journal = new QuotaJournal({ path: join(place, 'quotas.jsonl'), boot: bootId() });
    const state = stateAfter(left, GateState, journal);
    state.pins.keepIn(join(place, 'pins.json'));
    const door = new OperatorDoor(place, state);
    const { LostCallSearch } = await import('./lost-call-search.js');
    const search =
      this.#book === undefined
        ? undefined
        : new LostCallSearch(this.#book, folder, () => state.gates());
    const held = { state, folder, journal, door, search };
    this.#held = held;
    await door.open();
    if (left.kind === 'lost' || (left.kind === 'snapshot' && left.unsure)) {
      await within(search?.run() ?? Promise.resolve(), searchMs);
    }
    // An answer that is given at once overtakes one that was promised, until all that was promised has arrived.
    setImmediate(() => {
      this.#ready = held;
    });
    return held;
  }
}

function begin(folder: StateFolder): { readonly folder: StateFolder; readonly left: Left } {
  return { folder, left: folder.begin() };
}

/** A snapshot that is damaged says nothing, so everything counts as spent. */
export function stateAfter(left: Left, State: typeof GateState, journal?: QuotaJournal): GateState {
  if (left.kind === 'lost') return new State({ emptyAtMs: left.atMs, journal });
  const state = new State({ journal });
  if (left.kind !== 'snapshot') return state;
  try {
    state.restore(left.state);
    return state;
  } catch {
    return new State({ emptyAtMs: Date.now(), journal });
  }
}

function answered(
  { state, folder, door }: Holding,
  message: string,
  from: Caller,
): string | Promise<string> {
  folder.touch();
  door.look();
  return state.answer(message, from);
}
