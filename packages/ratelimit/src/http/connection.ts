import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a request came by: closed when its response has ended or its client has gone, whichever is first. */
export interface Connection {
  readonly isClosed: boolean;
  /** Calls once when it closes, or at once if it has; returns what forgets the call. */
  onClose(call: () => void): () => void;
}

/** A connection that is closed by a call; the first one counts. */
export class OpenConnection implements Connection {
  readonly #calls = new Set<() => void>();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  onClose(call: () => void): () => void {
    if (this.#isClosed) {
      call();
      return () => {};
    }
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }

  readonly close = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const call of this.#calls) call();
    this.#calls.clear();
  };
}

/** One listener for each socket, however many requests are under way on it. */
const onSockets = new WeakMap<object, Set<() => void>>();

/**
 * Of a request to a Node server. A response emits `close` when it has ended, and when its socket closes; but one that is still behind
 * another in a pipeline has no socket yet, and never does. So the socket is watched too.
 */
export function nodeConnection(request: IncomingMessage, response: ServerResponse): Connection {
  const connection = new OpenConnection();
  const { socket } = request;
  if (response.closed || response.destroyed || socket?.destroyed === true) {
    connection.close();
    return connection;
  }
  response.once('close', connection.close);
  const open = openOn(socket);
  open.add(connection.close);
  connection.onClose(() => open.delete(connection.close));
  return connection;
}

function openOn(socket: IncomingMessage['socket']): Set<() => void> {
  const known = onSockets.get(socket);
  if (known !== undefined) return known;
  const open = new Set<() => void>();
  onSockets.set(socket, open);
  socket.once('close', () => {
    for (const close of [...open]) close();
  });
  return open;
}
