import { GateError } from '../errors.js';
import { PinsFile, type StoredServer } from './pins-file.js';

/** A tool as a server shows it: its name, and the hex SHA-256 of all that it says of it. */
export interface ShownTool {
  readonly name: string;
  readonly hash: string;
}

/**
 * What is known of a shown tool: `first` when nothing was known of its server, `added` when only the tool is new, `was` when it was another
 * before, `unpinned` when there is no room for it.
 */
export type PinState = 'same' | 'first' | 'added' | 'unpinned' | { readonly was: string };

interface Pinned {
  hash: string;
  /** What it has changed to, while nobody has accepted that. */
  seen?: string | undefined;
  /** Whether the server did not show it any more. */
  gone: boolean;
}

interface Server {
  /** Whether its list was seen to the end once: what comes after that is new. */
  complete: boolean;
  readonly tools: Map<string, Pinned>;
}

/** The servers that are known; of more, the one that was not seen for the longest time is forgotten. */
export const pinnedServersMax = 1_000;
/** The tools of one server; more are not pinned. */
export const pinnedToolsMax = 1_000;
/** The tools of all servers, as with servers. */
export const allPinnedToolsMax = 20_000;
/** A longer name is not pinned. */
export const pinnedNameCharsMax = 256;
/** So many characters of names are told at a time. */
const namesCharsMax = 8_000;

/** What tools were when they were seen first, or were accepted since. A tool that is not shown any more stays pinned. */
export class Pins {
  readonly #servers = new Map<string, Server>();
  #file: PinsFile | undefined;
  #loaded = true;
  #changed = false;

  /** Keeps them in a file from now on, and begins with what is in it. */
  keepIn(path: string): void {
    this.#file = new PinsFile(path);
    this.#loaded = false;
  }

  /** Compares tools with what they were, and pins new ones. `complete`: the list ends here. */
  see(
    name: string,
    shown: readonly ShownTool[],
    complete: boolean,
  ): { states: PinState[]; present: number } {
    this.#load();
    const server = this.#servers.get(name) ?? { complete: false, tools: new Map() };
    // Deleting first moves it to the end, so that the oldest is the one to go.
    this.#servers.delete(name);
    this.#servers.set(name, server);
    const states = shown.map((tool) => this.#seeTool(server, tool));
    if (complete && !server.complete) {
      server.complete = true;
      this.#changed = true;
    }
    this.#makeRoom();
    this.#save();
    let present = 0;
    for (const { gone } of server.tools.values()) if (!gone) present++;
    return { states, present };
  }

  /** The pinned tools of a server that are not known to be gone, from one on; fewer than all when they are many. */
  list(name: string, from: number): { tools: ShownTool[]; total: number } {
    this.#load();
    const all = [...(this.#servers.get(name)?.tools ?? [])].filter(([, { gone }]) => !gone);
    const tools: ShownTool[] = [];
    let chars = 0;
    for (const [tool, { hash }] of all.slice(from)) {
      chars += tool.length + hash.length;
      if (chars > namesCharsMax) break;
      tools.push({ name: tool, hash });
    }
    return { tools, total: all.length };
  }

  /** The server does not show these any more. */
  gone(name: string, tools: readonly string[]): void {
    this.#load();
    for (const tool of tools) {
      const pinned = this.#servers.get(name)?.tools.get(tool);
      if (pinned === undefined || pinned.gone) continue;
      pinned.gone = true;
      this.#changed = true;
    }
    this.#save();
  }

  /** Takes a tool for what it is now, or for what it was when somebody looked at it. Returns whether there was anything to accept. */
  accept(name: string, tool: string, hash?: string): boolean {
    this.#load();
    const pinned = this.#servers.get(name)?.tools.get(tool);
    const accepted = hash ?? pinned?.seen;
    if (pinned === undefined || accepted === undefined || accepted === pinned.hash) return false;
    pinned.hash = accepted;
    pinned.seen = undefined;
    this.#changed = true;
    this.#save();
    return true;
  }

  #seeTool({ tools, complete }: Server, { name, hash }: ShownTool): PinState {
    const pinned = tools.get(name);
    if (pinned === undefined) {
      if (tools.size >= pinnedToolsMax || name.length > pinnedNameCharsMax) return 'unpinned';
      tools.set(name, { hash, gone: false });
      this.#changed = true;
      return complete ? 'added' : 'first';
    }
    const seen = pinned.hash === hash ? undefined : hash;
    if (pinned.seen !== seen || pinned.gone) this.#changed = true;
    pinned.seen = seen;
    pinned.gone = false;
    return seen === undefined ? 'same' : { was: pinned.hash };
  }

  #makeRoom(): void {
    let count = 0;
    for (const { tools } of this.#servers.values()) count += tools.size;
    for (const [name, { tools }] of this.#servers) {
      if (this.#servers.size <= pinnedServersMax && count <= allPinnedToolsMax) return;
      this.#servers.delete(name);
      count -= tools.size;
      this.#changed = true;
    }
  }

  #load(): void {
    if (this.#loaded) return;
    for (const { name, complete, tools } of this.#file?.read() ?? []) {
      const pinned = tools.map(([tool, hash, seen, gone]): [string, Pinned] => [
        tool,
        { hash, seen: seen ?? undefined, gone },
      ]);
      this.#servers.set(name, { complete, tools: new Map(pinned) });
    }
    this.#loaded = true;
  }

  /** Before anything is answered: what is not on disk, the next holder would take for new. */
  #save(): void {
    if (!this.#changed) return;
    try {
      this.#file?.write(this.#stored());
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new GateError('state_unavailable', `the pins of tools cannot be kept: ${why}`, {
        cause,
      });
    }
    this.#changed = false;
  }

  #stored(): StoredServer[] {
    return [...this.#servers].map(([name, { complete, tools }]) => ({
      name,
      complete,
      tools: [...tools].map(([tool, { hash, seen, gone }]) => [tool, hash, seen ?? null, gone]),
    }));
  }
}
