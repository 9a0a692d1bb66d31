import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { readCosigned, readPublished } from './cosigned.js';
import { AuditError } from './errors.js';
import { type Listen, pathOf, type RunningServer, serveHttp } from './http-server.js';
import { listSegments } from './segment.js';
import { asNotServable, minimumIndex, NotServable, SignedTiles } from './signed-tiles.js';
import { tileWidth } from './tiles.js';
import type { Hash } from './tree.js';

/**
 * A log over HTTP as C2SP tlog-tiles, for reading only: `/checkpoint`, `/tile/<L>/<N>[.p/<W>]` and
 * `/tile/entries/<N>[.p/<W>]`. Entry bundles are the records themselves: who can reach it can read the log.
 */

export interface TileServerOptions {
  /** The log folder. */
  readonly dir: string;
  /** Only paths below `/<prefix>/` are answered. At least 16 characters of `A-Z a-z 0-9 - _`. Default: none. */
  readonly prefix?: string | undefined;
}

interface Answer {
  readonly status: 200 | 404 | 405 | 503;
  readonly type: string;
  readonly body: Buffer;
  /** How long it stays true. */
  readonly cache: string;
  readonly encoding?: 'gzip';
  readonly varies?: boolean;
}

const zip = promisify(gzip);
/** A bundle has up to 16 MiB, and a slow reader keeps it in memory. */
const bundlesAtOnceMax = 16;
/** The writer replaces partial tiles while they are read. */
const attemptsMax = 4;
const attemptPauseMs = 25;
const immutable = 'max-age=31536000, immutable';
const brief = 'no-cache';

/** Serves a log's folder; it may be written meanwhile. Throws `bad_option`. */
export async function serveTiles(
  options: TileServerOptions & { readonly listen: Listen },
): Promise<RunningServer> {
  return await serveHttp(options.listen, tileHandler(options));
}

/** The same as a handler for a server of the caller's. */
export function tileHandler(options: TileServerOptions): RequestListener {
  const { dir, prefix } = options;
  if (prefix !== undefined && !/^[A-Za-z0-9_-]{16,128}$/.test(prefix)) {
    throw new AuditError(
      'bad_option',
      'the prefix must be 16 to 128 characters of A-Z a-z 0-9 - _',
      {
        member: 'prefix',
      },
    );
  }
  const source = new TileSource(dir);
  let bundles = 0;
  return (request, response) => {
    const resource = parseResource(request, prefix);
    const isBundle = resource !== undefined && resource.kind === 'entries';
    if (isBundle && bundles >= bundlesAtOnceMax) {
      send(request, response, said(503, 'too many bundles are being read; try again'));
      return;
    }
    if (isBundle) {
      bundles++;
      response.once('close', () => bundles--);
    }
    answer(source, request, resource)
      .then((given) => send(request, response, given))
      // The one who asked has gone.
      .catch(() => response.destroy());
  };
}

type Resource =
  | { readonly kind: 'checkpoint' }
  | {
      readonly kind: 'tile' | 'entries';
      readonly level: number;
      readonly index: number;
      readonly width: number;
    };

function parseResource(request: IncomingMessage, prefix: string | undefined): Resource | undefined {
  const whole = pathOf(request);
  const path = whole === undefined ? undefined : behindPrefix(whole, prefix);
  if (path === '/checkpoint') return { kind: 'checkpoint' };
  const match =
    /^\/tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(
      path ?? '',
    );
  if (match === null || match[2]!.startsWith('x000/')) return undefined;
  const level = match[1] === 'entries' ? 0 : Number(match[1]);
  const index = Number(match[2]!.replace(/[x/]/g, ''));
  const width = Number(match[3] ?? tileWidth);
  if (level > 63 || (match[3] !== undefined && width >= tileWidth)) return undefined;
  return { kind: match[1] === 'entries' ? 'entries' : 'tile', level, index, width };
}

/** Compared so that the time taken says nothing of how much of a guess was right. */
function behindPrefix(path: string, prefix: string | undefined): string | undefined {
  if (prefix === undefined) return path;
  const end = path.indexOf('/', 1);
  const given = path.slice(1, end < 0 ? path.length : end);
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(prefix)) && end > 0 ? path.slice(end) : undefined;
}

async function answer(
  source: TileSource,
  request: IncomingMessage,
  resource: Resource | undefined,
): Promise<Answer> {
  if (resource === undefined) return said(404, 'there is nothing here');
  if (request.method !== 'GET' && request.method !== 'HEAD') return said(405, 'GET only');
  for (let attempt = 1; ; attempt++) {
    try {
      return await answerOnce(source, request, resource);
    } catch (error) {
      const reason = asNotServable(error);
      if (reason === undefined) throw error;
      if (attempt === attemptsMax) return said(503, reason.message);
      await sleep(attemptPauseMs);
    }
  }
}

async function answerOnce(
  source: TileSource,
  request: IncomingMessage,
  resource: Resource,
): Promise<Answer> {
  if (resource.kind === 'checkpoint') {
    const note = Buffer.from(source.note());
    return { status: 200, type: 'text/plain; charset=utf-8', body: note, cache: brief };
  }
  const { kind, level, index, width } = resource;
  const tree = source.tree();
  if (tree.width(level, index) < width) return said(404, 'the tree has no such tile');
  const type = 'application/octet-stream';
  if (kind === 'tile') {
    const body = bytesOf(tree.tile(level, index).slice(0, width));
    return { status: 200, type, body, cache: immutable };
  }
  if ((index + 1) * tileWidth <= source.minimumIndex()) return said(404, 'pruned');
  const body = bundleOf(tree.entries(index, width));
  if (!acceptsGzip(request)) return { status: 200, type, body, cache: immutable, varies: true };
  const zipped = await zip(body);
  return { status: 200, type, body: zipped, cache: immutable, encoding: 'gzip', varies: true };
}

function bytesOf(hashes: readonly Hash[]): Buffer {
  return Buffer.from(hashes.join(''), 'hex');
}

/** Each line behind its length, a big-endian uint16. */
function bundleOf(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(
    lines.flatMap((line) => [Buffer.of(line.length >> 8, line.length & 0xff), line]),
  );
}

function acceptsGzip(request: IncomingMessage): boolean {
  const accepted = String(request.headers['accept-encoding'] ?? '');
  return accepted.split(',').some((each) => /^\s*gzip\s*(;\s*q=(1|0\.0*[1-9].*))?\s*$/i.test(each));
}

function said(status: 404 | 405 | 503, reason: string): Answer {
  const body = Buffer.from(`${reason}\n`);
  return { status, type: 'text/plain; charset=utf-8', body, cache: 'no-store' };
}

function send(request: IncomingMessage, response: ServerResponse, given: Answer): void {
  response.writeHead(given.status, {
    'Content-Type': given.type,
    'Content-Length': given.body.length,
    'Cache-Control': given.cache,
    'X-Content-Type-Options': 'nosniff',
    ...(given.encoding === undefined ? {} : { 'Content-Encoding': given.encoding }),
    ...(given.varies === true ? { Vary: 'Accept-Encoding' } : {}),
    ...(given.status === 405 ? { Allow: 'GET, HEAD' } : {}),
    ...(given.status === 503 ? { 'Retry-After': '1' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : given.body);
}

/** The log folder as it is served: what was derived from it is kept until it changes. */
class TileSource {
  readonly #dir: string;
  #tree: SignedTiles | undefined;
  #minimum: { readonly segments: string; readonly index: number } | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The published checkpoint, with the cosignatures there are of it. */
  note(): string {
    const published = readPublished(this.#dir);
    if (published === undefined) throw new NotServable('there is no checkpoint yet');
    const { size, root } = published.checkpoint;
    const cosigned = readCosigned(this.#dir, size);
    return cosigned?.checkpoint.root === root ? cosigned.note : published.note;
  }

  tree(): SignedTiles {
    const published = readPublished(this.#dir);
    if (published === undefined) throw new NotServable('there is no checkpoint yet');
    const { size, root, origin } = published.checkpoint;
    const kept = this.#tree?.checkpoint;
    if (kept?.size === size && kept.root === root && kept.origin === origin) return this.#tree!;
    this.#tree = new SignedTiles(this.#dir, published.checkpoint);
    return this.#tree;
  }

  minimumIndex(): number {
    const segments = listSegments(this.#dir)
      .map(({ name }) => name)
      .join();
    if (this.#minimum?.segments !== segments) {
      this.#minimum = { segments, index: minimumIndex(this.#dir) };
    }
    return this.#minimum.index;
  }
}
