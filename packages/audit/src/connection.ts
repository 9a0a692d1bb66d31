import { connect, type Socket } from 'node:net';
import { AuditError, systemCode } from './errors.js';
import { FrameReader, frameHeader, jsonFrame } from './frames.js';
import { checkVersion, parseObject } from './hello.js';
import {
  aliveMs,
  fromDoor,
  type Hello,
  silenceMs,
  toDoor,
  type Welcome,
} from './relay-messages.js';
import { fromPlainError, type PlainError } from './thread-messages.js';

/** How a connection ended: the writer closed the log, or nobody knows, or it said why. */
export type Parting = 'clean' | 'lost' | 'silent' | AuditError;

export interface ConnectionListener {
  message(kind: number, payload: Buffer): void;
  parted(how: Parting): void;
}

/** Silence is counted in ticks of our own, so that a program that was busy or stopped itself blames nobody else. */
const tickMs = aliveMs / 2;
const ticksMax = silenceMs / tickMs;

/** A client's connection to the process that writes the log. */
export class Connection {
  readonly welcome: Welcome;
  readonly #socket: Socket;
  readonly #silence: Silence;
  #listener: ConnectionListener | undefined;
  /** So many messages for the hook were read by a writer that said goodbye. */
  messagesRead: number | undefined;
  #over = false;

  private constructor(socket: Socket, silence: Silence, welcome: Welcome) {
    this.#socket = socket;
    this.#silence = silence;
    this.welcome = welcome;
  }

  /**
   * Connects, says hello and waits for the welcome. 'absent' when nobody listens there or the connection was lost at
   * once, 'silent' when somebody does and says nothing for 2 s. Throws what the writer refused with.
   */
  static open(path: string, hello: Hello): Promise<Connection | 'absent' | 'silent'> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      let connection: Connection | undefined;
      const silence = new Silence(() => part('silent'));
      silence.watch(true);
      const part = (how: Parting): void => {
        silence.watch(false);
        socket.destroy();
        if (connection !== undefined) connection.#part(how);
        else if (how instanceof AuditError) reject(how);
        else resolve(how === 'silent' ? 'silent' : 'absent');
      };
      const take = (kind: number, payload: Buffer): void => {
        if (kind === fromDoor.alive || socket.destroyed) return;
        if (kind === fromDoor.refused) part(refusalOf(payload));
        else if (kind === fromDoor.goodbye) {
          const { clean, messages } = parseObject(payload);
          if (connection !== undefined) connection.messagesRead = Number(messages);
          part(clean === true ? 'clean' : 'lost');
        } else if (connection !== undefined) connection.#listener?.message(kind, payload);
        else {
          connection = new Connection(socket, silence, welcomeOf(kind, payload));
          silence.watch(false);
          resolve(connection);
        }
      };
      const reader = new FrameReader(take);
      socket.on('connect', () => socket.write(jsonFrame(toDoor.hello, hello)));
      socket.on('data', (chunk: Buffer) => {
        silence.heard();
        if (socket.destroyed) return;
        try {
          reader.push(chunk);
        } catch (error) {
          part(error instanceof AuditError ? error : alien());
        }
      });
      socket.on('error', (error) => part(errorOf(path, error)));
      socket.on('close', () => part('lost'));
    });
  }

  /** From here on everything goes to the listener. */
  listen(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  /** Bodies, each with a newline behind it, at most what a frame holds. */
  append(bodies: Uint8Array): void {
    this.#socket.cork();
    this.#socket.write(frameHeader(toDoor.append, bodies.length));
    this.#socket.write(bodies);
    this.#socket.uncork();
  }

  say(kind: number, message: object): void {
    this.#socket.write(jsonFrame(kind, message));
  }

  get host(): string {
    return this.welcome.host;
  }

  get knowsUs(): boolean {
    return this.welcome.known;
  }

  get pid(): number {
    return this.welcome.pid;
  }

  /** A whole frame. */
  write(frame: Uint8Array): void {
    this.#socket.write(frame);
  }

  /** While something is owed, the writer must be heard. */
  watch(on: boolean): void {
    this.#silence.watch(on && !this.#over);
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  /** Sends what was said and lets go, not to come again. */
  end(): void {
    this.#over = true;
    this.#silence.watch(false);
    this.#socket.end(jsonFrame(toDoor.leave, {}));
    this.#socket.unref();
  }

  #part(how: Parting): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener?.parted(how);
  }
}

/** Counts how long nothing was heard. */
class Silence {
  readonly #onSilent: () => void;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;

  constructor(onSilent: () => void) {
    this.#onSilent = onSilent;
  }

  watch(on: boolean): void {
    if (on === (this.#timer !== undefined)) return;
    this.#ticks = 0;
    if (!on) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer = setInterval(() => {
      this.#ticks++;
      if (this.#ticks >= ticksMax) this.#onSilent();
    }, tickMs);
  }

  heard(): void {
    this.#ticks = 0;
  }
}

/** Nobody listening there is no error: the writer may be starting, ending or gone. */
function errorOf(path: string, error: Error): Parting {
  const code = systemCode(error) ?? '';
  if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAGAIN'].includes(code)) return 'lost';
  return new AuditError(
    'bad_socket',
    `the log's writer cannot be reached at ${path}: ${error.message}`,
    { cause: error },
  );
}

function refusalOf(payload: Buffer): AuditError {
  const { error } = parseObject(payload) as { error?: PlainError };
  return error === undefined ? alien() : fromPlainError(error);
}

function welcomeOf(kind: number, payload: Buffer): Welcome {
  if (kind !== fromDoor.welcome) throw alien();
  const welcome = parseObject(payload) as unknown as Welcome;
  checkVersion(welcome.protocol, "the log's writer", welcome.pid);
  return welcome;
}

function alien(): AuditError {
  return new AuditError('protocol_mismatch', 'what listens at the socket is no writer of a log');
}
