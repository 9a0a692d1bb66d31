import { connect, type Socket } from 'node:net';
import { FrameReader, frameHeader, jsonFrame, parseText, textFrame } from '../frames.js';
import { messageBytesMax } from '../hook.js';
import { fromDoor, type Hello, protocolVersion, toDoor } from '../relay-messages.js';

/** A client that says what a test wants, and need not read. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: { readonly kind: number; readonly message: Record<string, unknown> }[] = [];
  /** How many messages were answered. */
  answers = 0;
  closed = false;

  constructor(path: string) {
    this.socket = connect(path);
    const reader = new FrameReader((kind, payload) => {
      const message =
        kind === fromDoor.consulted
          ? parseText(payload, messageBytesMax)
          : JSON.parse(payload.toString('utf8'));
      if (kind === fromDoor.consulted) this.answers++;
      this.frames.push({ kind, message });
    });
    this.socket.on('data', (chunk: Buffer) => reader.push(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  hello(more: Partial<Record<keyof Hello, unknown>> = {}): void {
    const client = 'ab'.repeat(16);
    const hello = { protocol: protocolVersion, client, pid: process.pid, ...more };
    this.socket.write(jsonFrame(toDoor.hello, hello));
  }

  append(bodies: readonly string[]): void {
    const bytes = Buffer.from(bodies.map((body) => `${body}\n`).join(''));
    this.socket.write(Buffer.concat([frameHeader(toDoor.append, bytes.length), bytes]));
  }

  consult(id: number, text: string): void {
    this.socket.write(textFrame(toDoor.consult, id, text));
  }

  say(kind: number, message: object): void {
    this.socket.write(jsonFrame(kind, message));
  }

  /** The messages of one kind that have come. */
  of(kind: keyof typeof fromDoor): Record<string, unknown>[] {
    return this.frames.filter((one) => one.kind === fromDoor[kind]).map(({ message }) => message);
  }
}
