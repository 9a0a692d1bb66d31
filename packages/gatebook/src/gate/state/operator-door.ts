import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { reasonOf } from '../../mcp/ledger.js';
import type { GateState } from './gate-state.js';
import { operatorReply } from './operator-desk.js';
import { requestBytesMax } from './operator-message.js';
import { operatorSocket, unsafeFolder, withReach } from './operator-place.js';

/** Operators that are let in at a time. */
export const clientsMax = 16;
/** How long one may take to ask, or to take its answer. */
const silentMs = 5_000;
/** How often it is looked whether the socket is still there. */
const lookMs = 1_000;

/** Names a file as long as it is there. */
interface Identity {
  readonly dev: number;
  readonly ino: number;
}

/**
 * Where the operator comes in to the holder of the gates' state: a socket (mode 0600) in the state folder (mode 0700). Each connection is
 * for one request. What goes wrong with it is said to whoever asks for an approval, and harms nobody else.
 */
export class OperatorDoor {
  readonly #socket: string;
  readonly #state: GateState;
  readonly #clients = new Set<Socket>();
  #server: Server | undefined;
  #identity: Identity | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #opening: Promise<void> | undefined;
  #closed = false;

  constructor(stateFolder: string, state: GateState) {
    this.#socket = operatorSocket(stateFolder);
    this.#state = state;
  }

  /** Resolves when operators can come in, or it is known why not. */
  async open(): Promise<void> {
    this.#opening ??= this.#listen().then(
      () => this.#opened(undefined),
      (error: unknown) => this.#opened(reasonOf(error)),
    );
    await this.#opening;
  }

  #opened(fault: string | undefined): void {
    this.#opening = undefined;
    this.#state.unreachable =
      fault === undefined ? undefined : `nobody can answer by gatebook approve: ${fault}`;
  }

  /** Whether the socket is where it was, now and then: where it is not, it is made again. */
  look(): void {
    const now = performance.now();
    if (now - this.#lookedMs < lookMs || this.#closed) return;
    this.#lookedMs = now;
    if (this.#opening === undefined && !this.#isThere()) void this.open();
  }

  close(): void {
    this.#closed = true;
    if (this.#isThere()) fs.rmSync(this.#socket, { force: true });
    this.#server?.close();
    for (const client of this.#clients) client.destroy();
  }

  #isThere(): boolean {
    const found = fs.lstatSync(this.#socket, { throwIfNoEntry: false });
    return (
      found !== undefined &&
      found.dev === this.#identity?.dev &&
      found.ino === this.#identity.ino &&
      this.#server?.listening === true
    );
  }

  /** Made under another name and moved in place, so that it was private and listened to from the start. */
  async #listen(): Promise<void> {
    const unsafe = unsafeFolder(dirname(this.#socket));
    if (unsafe !== undefined) throw new Error(unsafe);
    const before = this.#server;
    const server = createServer((client) => this.#letIn(client));
    server.unref();
    const draft = `${this.#socket}~${randomBytes(6).toString('hex')}`;
    await withReach(draft, (path) => listening(server, path));
    server.on('error', (error) => this.#opened(error.message));
    fs.chmodSync(draft, 0o600);
    if (this.#closed) {
      server.close();
      fs.rmSync(draft, { force: true });
      return;
    }
    fs.renameSync(draft, this.#socket);
    const { dev, ino } = fs.lstatSync(this.#socket);
    this.#identity = { dev, ino };
    this.#server = server;
    before?.close();
  }

  #letIn(client: Socket): void {
    client.on('error', () => client.destroy());
    if (this.#closed || this.#clients.size >= clientsMax) {
      client.end(refusal(`${clientsMax} operators are here already; try again`));
      return;
    }
    this.#clients.add(client);
    // An operator does not keep the program alive.
    client.unref();
    client.setTimeout(silentMs, () => client.destroy());
    client.once('close', () => this.#clients.delete(client));
    let bytes = 0;
    const parts: Buffer[] = [];
    const hear = (part: Buffer): void => {
      const end = part.indexOf(0x0a);
      bytes += end === -1 ? part.length : end;
      const tooLong = bytes > requestBytesMax;
      if (!tooLong) parts.push(end === -1 ? part : part.subarray(0, end));
      if (!tooLong && end === -1) return;
      client.off('data', hear);
      client.resume();
      client.end(
        tooLong
          ? refusal(`a request is longer than ${requestBytesMax} bytes`)
          : `${JSON.stringify(operatorReply(this.#state, Buffer.concat(parts).toString()))}\n`,
      );
    };
    client.on('data', hear);
  }
}

function refusal(message: string): string {
  return `${JSON.stringify({ error: { code: 'bad_message', message } })}\n`;
}

async function listening(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
