import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AuditError } from './errors.js';

/** What the small servers here have in common: bounds on everything that somebody at the other end can use up. */

export interface Listen {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface RunningServer {
  /** With the port that was taken: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Takes no more connections, and ends the open ones after at most a second. */
  close(): Promise<void>;
}

const connectionsMax = 512;
const headerBytesMax = 8 * 1024;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 20_000;
const keepAliveTimeoutMs = 30_000;
const closeMs = 1_000;

/** Listens, with bounds on connections, header size and times. Throws `bad_option` when the address cannot be had. */
export async function serveHttp(
  listen: Listen,
  onRequest: RequestListener,
): Promise<RunningServer> {
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: 1_000,
    },
    onRequest,
  );
  server.maxConnections = connectionsMax;
  // A reader that has stopped reading is not waited for.
  server.setTimeout(keepAliveTimeoutMs);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const message = `${listen.host}:${listen.port} cannot be listened on: ${error.message}`;
      reject(new AuditError('bad_option', message, { cause: error }));
    });
    server.listen(listen.port, listen.host, resolve);
  });
  return { url: urlOf(server), close: () => closeServer(server) };
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), closeMs).unref();
  });
}

/** A request's body, or undefined when it is larger than `bytesMax`; then nothing more is read. */
export async function readBody(
  request: IncomingMessage,
  bytesMax: number,
): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The path of a request without its query; undefined when it is not one. */
export function pathOf(request: IncomingMessage): string | undefined {
  const url = request.url ?? '';
  if (!url.startsWith('/')) return undefined;
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}
