import type { AuditEvent, JsonObject } from '@gatebook/audit';
import type { ToolAnnotations } from '@gatebook/policy';
import type { ToolPin } from '../gate/pin.js';
import {
  type PinState,
  pinnedNameCharsMax,
  pinnedToolsMax,
  type ShownTool,
} from '../gate/state/pins.js';
import type { StateClient } from '../gate/state/state-client.js';
import { listingsMax, pinMessageBytesMax, pinsNamedMax } from './bounds.js';
import type { Outcomes } from './outcomes.js';
import type { Answer } from './server-line.js';
import type { Session } from './session.js';
import { type ListedTool, readToolPage, sha256 } from './tool-list.js';

/** What happens to calls of a tool that has changed: they are made, a person is asked, or they are denied. */
export type OnToolChange = 'record' | 'ask' | 'block';

export interface ToolPinsOptions {
  readonly state: StateClient;
  readonly session: Session;
  readonly outcomes: Outcomes;
  /** By which name the server's tools are pinned. */
  readonly server: string;
  readonly onChange: OnToolChange;
}

interface Seen extends ListedTool {
  /** What became of the comparison; undefined while there was none. */
  state?: PinState | undefined;
  /** Whether its change is in the book already. */
  reported: boolean;
}

/** What a server's tools say of themselves, compared with what they said when they were seen first. */
export class ToolPins {
  readonly #o: ToolPinsOptions;
  readonly #seen = new Map<string, Seen>();
  /** Lists that go on, by the cursor of their next page. */
  readonly #listings = new Map<string, Set<string>>();
  #comparing: Promise<void> = Promise.resolve();
  /** Whether tools were shown that nothing is known of, for there were too many. */
  #overflow = false;
  /** Why the list that the client may go by could not be read. */
  #unread: string | undefined;

  constructor(options: ToolPinsOptions) {
    this.#o = options;
  }

  /**
   * The client is about to read an answer to `tools/list`, the first page where there is no cursor. Where it is `spoiled`, the client may go
   * by something else that it has read before.
   */
  listed(answer: Answer, cursor: string | undefined, spoiled = false): void {
    const page = readToolPage(answer);
    if (page === undefined) return;
    if ('fault' in page) {
      this.unreadable(page.fault);
      return;
    }
    if (cursor === undefined) {
      if (!spoiled) this.#unread = undefined;
      this.#overflow = false;
    }
    const listing = this.#listingAt(cursor);
    const shown: ShownTool[] = [];
    for (const [name, tool] of page.tools) {
      // More than can be pinned is no list whose end says anything.
      if (listing !== undefined && listing.size <= pinnedToolsMax) listing.add(name);
      if (this.#note(name, tool)) shown.push({ name, hash: tool.hash });
    }
    const { nextCursor } = page;
    if (nextCursor !== undefined && listing !== undefined) this.#goOn(nextCursor, listing);
    const whole = nextCursor === undefined ? listing : undefined;
    this.#comparing = this.#comparing
      .then(() => this.#compare(shown, page.tools.size - shown.length, whole))
      // What could not be compared is compared when it is called, and fails there.
      .catch(() => undefined);
  }

  /** An answer to `tools/list` passes that cannot be read as the client will read it. */
  unreadable(reason: string): void {
    if (this.#unread === undefined) this.#record('pin.unread', reason, {});
    this.#unread = reason;
  }

  annotationsOf(name: string): ToolAnnotations | undefined {
    return this.#seen.get(name)?.annotations;
  }

  /** What is the matter with a tool that is called. */
  pinOf(name: string): Promise<ToolPin | undefined> | undefined {
    const { onChange: does } = this.#o;
    const seen = this.#seen.get(name);
    if (does === 'record') return undefined;
    const state = seen === undefined && !this.#overflow ? 'same' : seen?.state;
    const good = state === 'same' || state === 'first' || state === 'added';
    return good && this.#unread === undefined ? undefined : this.#doubt(name, seen, does);
  }

  async #doubt(
    name: string,
    seen: Seen | undefined,
    does: 'ask' | 'block',
  ): Promise<ToolPin | undefined> {
    if (this.#unread !== undefined) {
      const reason = `the server's list of tools could not be read (${this.#unread})`;
      return { does, rule: 'pin.unread', reason, hash: seen?.hash ?? '', accept: nothing };
    }
    if (seen === undefined) return this.#unpinned(does, '');
    await this.#comparing;
    // Somebody may have accepted it meanwhile.
    if (seen.state === undefined || isChanged(seen.state)) await this.#look(name, seen);
    if (seen.state === 'unpinned') return this.#unpinned(does, seen.hash);
    if (!isChanged(seen.state)) return undefined;
    const reason = 'the tool is described otherwise than when it was seen first, or accepted since';
    return {
      does,
      rule: 'pin.changed',
      reason,
      hash: seen.hash,
      accept: () => this.#accept(name, seen),
    };
  }

  #unpinned(does: 'ask' | 'block', hash: string): ToolPin {
    const reason = `the server shows more than ${pinnedToolsMax} tools, and this one could change unnoticed`;
    return { does, rule: 'pin.bound', reason, hash, accept: nothing };
  }

  async #accept(tool: string, seen: Seen): Promise<void> {
    const { hash } = seen;
    await this.#o.state.ask('acceptPin', { server: this.#o.server, tool, hash });
    seen.state = 'same';
    this.#o.outcomes.record(this.#event('gate.tool_accepted', { tool, sha256: hash }));
  }

  /** Keeps a tool in mind. Returns whether it can be pinned. */
  #note(name: string, tool: ListedTool): boolean {
    const before = this.#seen.get(name);
    if (before === undefined && this.#seen.size >= pinnedToolsMax) {
      this.#overflow = true;
      return false;
    }
    const pinnable = name.length <= pinnedNameCharsMax;
    const reported = before?.hash === tool.hash && before.reported;
    this.#seen.set(name, { ...tool, reported, state: pinnable ? undefined : 'unpinned' });
    return pinnable;
  }

  #listingAt(cursor: string | undefined): Set<string> | undefined {
    if (cursor === undefined) return new Set();
    const key = sha256(cursor);
    const listing = this.#listings.get(key);
    this.#listings.delete(key);
    return listing;
  }

  #goOn(cursor: string, listing: Set<string>): void {
    if (listing.size > pinnedToolsMax) return;
    this.#listings.set(sha256(cursor), listing);
    if (this.#listings.size <= listingsMax) return;
    const oldest = this.#listings.keys().next();
    if (oldest.done !== true) this.#listings.delete(oldest.value);
  }

  async #compare(
    shown: readonly ShownTool[],
    unpinnable: number,
    whole: ReadonlySet<string> | undefined,
  ): Promise<void> {
    const { state, server } = this.#o;
    const states = new Map<string, PinState>();
    let present = 0;
    for (const { tools, last } of chunksOf(shown)) {
      const complete = last && whole !== undefined;
      const answer = await state.ask('pins', { server, tools, complete });
      for (const [at, { name, hash }] of tools.entries()) {
        const found = answer.states[at];
        if (found === undefined) continue;
        states.set(name, found);
        const seen = this.#seen.get(name);
        // A later list may have shown it otherwise already.
        if (seen?.hash === hash) seen.state = found;
      }
      present = answer.present;
    }
    this.#report(shown, states, unpinnable);
    if (whole !== undefined && present > whole.size - unpinnable) await this.#findGone(whole);
  }

  #report(
    shown: readonly ShownTool[],
    states: ReadonlyMap<string, PinState>,
    unpinnable: number,
  ): void {
    const first = shown.filter(({ name }) => states.get(name) === 'first');
    if (first.length > 0) {
      const lines = first.map(({ name, hash }) => JSON.stringify([name, hash])).sort();
      const details = { tools: first.length, sha256: sha256(lines.join('\n')) };
      this.#o.outcomes.record(this.#event('gate.tools_pinned', details));
    }
    const added = shown.filter(({ name }) => states.get(name) === 'added');
    this.#reportTools('pin.added', 'the server shows new tools', added.map(nowOf));
    const changed: JsonObject[] = [];
    for (const { name, hash } of shown) {
      const state = states.get(name);
      const seen = this.#seen.get(name);
      if (!isChanged(state) || seen?.reported === true) continue;
      if (seen?.hash === hash) seen.reported = true;
      changed.push({ tool: name, was: state.was, now: hash });
    }
    this.#reportTools('pin.changed', 'tools are described otherwise than before', changed);
    let unpinned = unpinnable;
    for (const state of states.values()) if (state === 'unpinned') unpinned++;
    if (unpinned === 0) return;
    const reason = `${unpinned} tools are not pinned: there are more than ${pinnedToolsMax}, or their names are longer than ${pinnedNameCharsMax} characters`;
    this.#record('pin.bound', reason, { count: unpinned });
  }

  /** The list is at its end: what is pinned and was not in it is not shown any more. */
  async #findGone(whole: ReadonlySet<string>): Promise<void> {
    const { state, server } = this.#o;
    const gone: ShownTool[] = [];
    for (let from = 0; from < pinnedToolsMax; ) {
      const { tools, total } = await state.ask('pinned', { server, from });
      gone.push(...tools.filter(({ name }) => !whole.has(name)));
      from += tools.length;
      if (tools.length === 0 || from >= total) break;
    }
    if (gone.length === 0) return;
    for (const { tools } of chunksOf(gone)) {
      await state.ask('gonePins', { server, tools: tools.map(({ name }) => name) });
    }
    const was = gone.map(({ name, hash }) => ({ tool: name, was: hash }));
    this.#reportTools('pin.removed', 'the server does not show tools any more', was);
  }

  async #look(name: string, seen: Seen): Promise<void> {
    const tools = [{ name, hash: seen.hash }];
    const asked = { server: this.#o.server, tools, complete: false };
    seen.state = (await this.#o.state.ask('pins', asked)).states[0];
  }

  #reportTools(rule: string, reason: string, tools: readonly JsonObject[]): void {
    if (tools.length === 0) return;
    this.#record(rule, reason, { count: tools.length, tools: tools.slice(0, pinsNamedMax) });
  }

  #record(rule: string, reason: string, details: JsonObject): void {
    const event = this.#event('security_event', details);
    this.#o.outcomes.record({ ...event, security: { rule, reason: reason.slice(0, 500) } });
  }

  #event(eventType: AuditEvent['eventType'], details: JsonObject): AuditEvent {
    const { session, server } = this.#o;
    const { id: sessionId, source } = session;
    return { eventType, sessionId, source, details: { server, ...details } };
  }
}

function isChanged(state: PinState | undefined): state is { readonly was: string } {
  return typeof state === 'object';
}

function nowOf({ name, hash }: ShownTool): JsonObject {
  return { tool: name, now: hash };
}

/** As many at a time as fit into a message, and at least one chunk. */
function* chunksOf(
  tools: readonly ShownTool[],
): Generator<{ readonly tools: readonly ShownTool[]; readonly last: boolean }> {
  let chunk: ShownTool[] = [];
  let bytes = 0;
  for (const tool of tools) {
    const more = Buffer.byteLength(JSON.stringify(tool));
    if (bytes + more > pinMessageBytesMax) {
      yield { tools: chunk, last: false };
      chunk = [];
      bytes = 0;
    }
    chunk.push(tool);
    bytes += more;
  }
  yield { tools: chunk, last: true };
}

async function nothing(): Promise<void> {}
