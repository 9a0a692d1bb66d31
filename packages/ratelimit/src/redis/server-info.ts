import { luaInfo } from './lua-info.js';
import { Script } from './script.js';

export const infoScript = new Script(luaInfo);

/** A section of INFO, as the script answered it. */
export class ServerInfo {
  /** Why the server does not give it; undefined where it does. */
  readonly refusal: string | undefined;
  readonly #text: string;

  constructor(raw: unknown) {
    const [isGiven, text] = Array.isArray(raw) ? (raw as readonly unknown[]).map(String) : [];
    this.#text = isGiven === '1' ? (text ?? '') : '';
    this.refusal = isGiven === '1' ? undefined : (text ?? 'the answer is none of INFO');
  }

  field(name: string): string | undefined {
    const line = this.#text.split(/\r?\n/).find((each) => each.startsWith(`${name}:`));
    return line?.slice(name.length + 1).trim();
  }

  number(name: string): number | undefined {
    const text = this.field(name);
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  }
}

/** Why a server with this `INFO memory` is not to be relied on for what is counted; undefined where it never evicts a key. */
export function evictsBy(memory: ServerInfo): string | undefined {
  if (memory.refusal !== undefined)
    return unknown(`INFO memory failed with ${JSON.stringify(memory.refusal.slice(0, 200))}`);
  const most = memory.number('maxmemory');
  if (most === 0) return undefined;
  const policy = memory.field('maxmemory_policy');
  if (most === undefined || policy === undefined)
    return unknown('INFO memory does not name its maxmemory and maxmemory_policy');
  if (policy === 'noeviction') return undefined;
  return (
    `the store may evict what is counted, and then lets more through than the limits say: its maxmemory is ${most} and its ` +
    `maxmemory-policy ${policy}; set maxmemory-policy to noeviction, or pass evictions: 'accept'`
  );
}

function unknown(why: string): string {
  return (
    `nobody can tell whether the store evicts what is counted: ${why}; let the limiter's user run INFO (+info in its ACL), ` +
    `or, where maxmemory-policy is known to be noeviction, pass evictions: 'accept'`
  );
}
