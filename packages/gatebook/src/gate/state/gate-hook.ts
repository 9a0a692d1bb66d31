import { join } from 'node:path';
import type { Caller, HookEnd, HookMaker, MessageHook } from '@gatebook/audit';
import type { GateState } from './gate-state.js';
import type { OperatorDoor } from './operator-door.js';
import type { Left, StateFolder } from './state-folder.js';

/** Where the holder keeps what the next one must know. */
export function stateFolderOf(keysDir: string): string {
  return join(keysDir, 'gate');
}

interface Holding {
  readonly state: GateState;
  readonly folder: StateFolder;
  readonly door: OperatorDoor;
}

/**
 * Makes the hook by which the process that writes a log holds what all gates over that log share. Its code is loaded at the first
 * message: most processes that write a log never get one.
 */
export function gateHook(keysDir: string): HookMaker {
  return () => new GateHook(keysDir);
}

class GateHook implements MessageHook {
  readonly #keysDir: string;
  #holding: Promise<Holding> | undefined;
  #held: Holding | undefined;
  #closed = false;

  constructor(keysDir: string) {
    this.#keysDir = keysDir;
  }

  answer(message: string, from: Caller): string | Promise<string> {
    if (this.#held !== undefined) return answered(this.#held, message, from);
    this.#holding ??= this.#begin();
    return this.#holding.then((held) => answered(held, message, from));
  }

  left(caller: Caller): void {
    this.#held?.state.left(caller);
  }

  close(how: HookEnd): void {
    this.#closed = true;
    this.#held?.door.close();
    if (how === 'clean' && this.#held !== undefined) {
      this.#held.folder.end(this.#held.state.snapshot());
    }
  }

  async #begin(): Promise<Holding> {
    const { GateState } = await import('./gate-state.js');
    const { StateFolder } = await import('./state-folder.js');
    const { OperatorDoor } = await import('./operator-door.js');
    // Another process may hold by now.
    if (this.#closed) throw new Error('the log was closed');
    const place = stateFolderOf(this.#keysDir);
    const folder = new StateFolder(place);
    const left = folder.begin();
    const state = stateAfter(left, GateState);
    state.pins.keepIn(join(place, 'pins.json'));
    const door = new OperatorDoor(place, state);
    const held = { state, folder, door };
    this.#held = held;
    await door.open();
    return held;
  }
}

/** A snapshot that is damaged says nothing, so everything counts as spent. */
export function stateAfter(left: Left, State: typeof GateState): GateState {
  if (left.kind === 'lost') return new State({ emptyAtMs: left.atMs });
  const state = new State();
  if (left.kind !== 'snapshot') return state;
  try {
    state.restore(left.state);
    return state;
  } catch {
    return new State({ emptyAtMs: Date.now() });
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
