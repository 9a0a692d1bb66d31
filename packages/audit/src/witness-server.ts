import type { IncomingMessage, ServerResponse } from 'node:http';
import { noteBytesMax } from './checkpoint.js';
import { type Listen, pathOf, type RunningServer, readBody, serveHttp } from './http-server.js';
import type { Answer, Witness } from './witness.js';
import { proofHashesMax } from './witness-request.js';

/** `old` line, 63 hashes of 45 bytes, and a note. */
const bodyBytesMax = noteBytesMax + proofHashesMax * 45 + 64;

export interface WitnessNews {
  readonly status: number;
  /** The log, when it is a known one. */
  readonly origin: string | undefined;
  /** The reason, when the request was refused. */
  readonly reason: string;
}

/**
 * Offers a witness over HTTP: `POST /add-checkpoint`, and `GET /<origin hash>/checkpoint` for whoever monitors or
 * verifies (c2sp.org/tlog-witness). Submission and monitoring prefix are the same.
 */
export async function serveWitness(options: {
  readonly witness: Witness;
  readonly listen: Listen;
  /** Hears of every `add-checkpoint` call that was refused; a 409 is how a log asks where the witness stands. */
  readonly onRefusal?: ((news: WitnessNews) => void) | undefined;
}): Promise<RunningServer> {
  const { witness, onRefusal } = options;
  return await serveHttp(options.listen, (request, response) => {
    answer(witness, request)
      .then((given) => {
        if (request.method === 'POST' && given.status !== 200 && given.status !== 409) {
          const origin = 'origin' in given ? given.origin : undefined;
          onRefusal?.({ status: given.status, origin, reason: given.body.trim() });
        }
        send(request, response, given);
      })
      // The one who asked has gone, or is cut off for being slow.
      .catch(() => response.destroy());
  });
}

async function answer(
  witness: Witness,
  request: IncomingMessage,
): Promise<Answer | { status: 405; type: string; body: string; allow: string }> {
  const path = pathOf(request);
  const type = 'text/plain; charset=utf-8';
  if (path === '/add-checkpoint') {
    if (request.method !== 'POST') return { status: 405, type, body: 'POST only\n', allow: 'POST' };
    const body = await readBody(request, bodyBytesMax);
    if (body === undefined) return { status: 413, type, body: 'the request is too large\n' };
    return witness.addCheckpoint(body);
  }
  const hash = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path ?? '')?.[1];
  if (hash === undefined) return { status: 404, type, body: 'there is nothing here\n' };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type, body: 'GET only\n', allow: 'GET, HEAD' };
  }
  return witness.latest(hash);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  given: Awaited<ReturnType<typeof answer>>,
): void {
  const bytes = Buffer.from(given.body);
  response.writeHead(given.status, {
    'Content-Type': given.type,
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...('allow' in given ? { Allow: given.allow } : {}),
    // Of a body that was not read to its end nothing on this connection can be understood.
    ...(given.status === 413 ? { Connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}
