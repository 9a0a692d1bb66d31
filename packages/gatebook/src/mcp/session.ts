import type { Actor, JsonObject } from '@gatebook/audit';
import { clientSession } from '../gate/session-id.js';
import { peerNameCharsMax } from './bounds.js';
import type { ClientMessage } from './client-line.js';
import { innerMembers, type Members, stringValue } from './json-member.js';
import { type AnswerFacts, wellFormed } from './server-line.js';

const metaPrefix = 'io.modelcontextprotocol/';

/** Who speaks on the command line's word: it outranks what the peers say of themselves. */
export interface Identity {
  readonly user?: string | undefined;
  readonly channel?: string | undefined;
  readonly agent?: string | undefined;
}

/** What is known of one run of the relay: who is on either side, in which version they speak. */
export class Session {
  readonly id: string;
  readonly #identity: Identity;
  readonly #commandName: string;
  #serverName: string | undefined;
  #clientName: string | undefined;
  #protocolVersion: string | undefined;
  #clientShowsForms = false;

  constructor(identity: Identity, commandName: string, id: string = clientSession()) {
    this.id = id;
    this.#identity = identity;
    this.#commandName = commandName;
  }

  /** The server's own name once it gave one, else the name of the command. */
  get source(): string {
    return this.#serverName ?? this.#commandName;
  }

  get protocolVersion(): string | undefined {
    return this.#protocolVersion;
  }

  /** Whether the client said in `initialize` that it shows forms to its user. */
  get clientShowsForms(): boolean {
    return this.#clientShowsForms;
  }

  actor(): Actor {
    const agent = this.#identity.agent ?? this.#clientName;
    return {
      ...(this.#identity.channel === undefined ? {} : { channel: this.#identity.channel }),
      ...(this.#identity.user === undefined ? {} : { userId: this.#identity.user }),
      ...(agent === undefined ? {} : { agent }),
    };
  }

  /** The client's own name where the operator gave the agent another one. */
  clientDetails(): JsonObject {
    const name = this.#clientName;
    if (name === undefined || this.#identity.agent === undefined) return {};
    return { client: name };
  }

  /** Takes the client's name and version from `initialize` or, in the newer era, from any request's `_meta`. */
  learnFromClient(message: ClientMessage): void {
    if (message.kind !== 'request' || message.params === undefined) return;
    if (message.method === 'initialize') {
      this.#clientName = peerName(innerMembers(message.params, 'clientInfo')) ?? this.#clientName;
      this.#clientShowsForms = showsForms(innerMembers(message.params, 'capabilities'));
      return;
    }
    const meta = innerMembers(message.params, '_meta');
    if (meta === undefined) return;
    this.#clientName = peerName(innerMembers(meta, `${metaPrefix}clientInfo`)) ?? this.#clientName;
    const version = stringValue(meta, `${metaPrefix}protocolVersion`);
    if (version !== undefined) this.#protocolVersion = wellFormed(version, 40);
  }

  learnFromServer(facts: AnswerFacts): void {
    if (facts.serverName !== undefined) {
      this.#serverName = wellFormed(facts.serverName, peerNameCharsMax);
    }
    if (facts.protocolVersion !== undefined) {
      this.#protocolVersion = wellFormed(facts.protocolVersion, 40);
    }
  }
}

/** What a request of the 2026-07-28 revision says of its client; undefined for a request of an older one. */
export function newerEra(params: Members | undefined): { showsForms: boolean } | undefined {
  const meta = params && innerMembers(params, '_meta');
  if (meta?.byName.has(`${metaPrefix}protocolVersion`) !== true) return undefined;
  return { showsForms: showsForms(innerMembers(meta, `${metaPrefix}clientCapabilities`)) };
}

/** A client that names no mode of elicitation has forms only, as before there were others. */
function showsForms(capabilities: Members | undefined): boolean {
  const elicitation = innerMembers(capabilities, 'elicitation');
  if (elicitation === undefined) return false;
  return (
    elicitation.byName.get('form')?.kind === 'object' ||
    !(elicitation.byName.has('form') || elicitation.byName.has('url'))
  );
}

function peerName(info: Members | undefined): string | undefined {
  const name = stringValue(info, 'name');
  return name === undefined || name === '' ? undefined : wellFormed(name, peerNameCharsMax);
}
