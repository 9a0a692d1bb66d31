import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder, writeWhole } from '../../whole-file.js';
import { GateError } from '../errors.js';

export interface StoredServer {
  readonly name: string;
  readonly complete: boolean;
  /** Name, hash, what it has changed to, whether it is gone. */
  readonly tools: readonly (readonly [string, string, string | null, boolean])[];
}

const bytesMax = 64 * 1024 * 1024;

/** The file of the pins, mode 0600, replaced as a whole. */
export class PinsFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws GateError where there is one that cannot be read: taking all for new would hide every change */
  read(): readonly StoredServer[] {
    const found = fs.statSync(this.#path, { throwIfNoEntry: false });
    if (found === undefined) return [];
    try {
      if (found.size > bytesMax) throw new Error(`it has ${found.size} bytes`);
      return readServers(JSON.parse(fs.readFileSync(this.#path, 'utf8')));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new GateError(
        'state_unavailable',
        `${this.#path} cannot be read (${why}); move it away to pin all tools anew`,
        { cause },
      );
    }
  }

  write(servers: readonly StoredServer[]): void {
    writeWhole(this.#path, JSON.stringify({ version: 1, servers }));
    syncFolder(dirname(this.#path));
  }
}

function readServers(value: unknown): readonly StoredServer[] {
  const file = value as { version?: unknown; servers?: unknown } | null;
  if (file?.version !== 1 || !Array.isArray(file.servers))
    throw new Error('it is of no known form');
  for (const server of file.servers as unknown[]) {
    if (!isServer(server)) throw new Error('a server in it is of no known form');
  }
  return file.servers as readonly StoredServer[];
}

function isServer(value: unknown): value is StoredServer {
  const server = value as Partial<StoredServer> | null;
  return (
    typeof server?.name === 'string' &&
    typeof server.complete === 'boolean' &&
    Array.isArray(server.tools) &&
    server.tools.every(
      ([tool, hash, seen, gone]) =>
        typeof tool === 'string' &&
        typeof hash === 'string' &&
        (seen === null || typeof seen === 'string') &&
        typeof gone === 'boolean',
    )
  );
}
