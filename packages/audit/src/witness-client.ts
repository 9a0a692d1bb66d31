import {
  formatSignatureLine,
  type NoteSignature,
  noteBytesMax,
  parseNote,
  parseSignatureLine,
} from './checkpoint.js';
import { type CosignerKey, cosignatureTime } from './cosignature.js';
import { AuditError, reasonOf } from './errors.js';
import type { Hash } from './tree.js';
import { formatAddCheckpoint } from './witness-request.js';
import { originHash } from './witness-state.js';

/** The calls to a witness (c2sp.org/tlog-witness), every answer bounded in time and size and believed only if it is signed. */

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface WitnessCall {
  /** Submission or monitoring prefix. */
  readonly url: string;
  readonly fetch?: Fetch | undefined;
  /** Ends the call. */
  readonly signal: AbortSignal;
}

/** Cosigned, or the size that the witness has cosigned last, or why it will not. */
export type Added =
  | { readonly kind: 'cosigned'; readonly line: NoteSignature; readonly seconds: number }
  | { readonly kind: 'conflict'; readonly size: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** Asks for a cosignature of a checkpoint. Throws `witness_failed`. */
export async function addCheckpoint(
  call: WitnessCall,
  request: {
    readonly oldSize: number;
    readonly proof: readonly Hash[];
    readonly note: string;
    readonly key: CosignerKey;
  },
): Promise<Added> {
  const { oldSize, proof, note, key } = request;
  const body = formatAddCheckpoint(oldSize, proof, note);
  const { status, type, text } = await ask(call, 'add-checkpoint', { method: 'POST', body });
  if (status === 409) return { kind: 'conflict', size: conflictSize(type, text) };
  if (status !== 200) {
    return { kind: 'refused', reason: `it answered ${status}: ${text.slice(0, 200).trim()}` };
  }
  const signed = parseNote(Buffer.from(note)).text;
  let best: Extract<Added, { kind: 'cosigned' }> | undefined;
  for (const row of text.split('\n').slice(0, 64)) {
    const line = parseSignatureLine(row);
    if (line === undefined || line.name !== key.name || line.hash !== key.hash) continue;
    const seconds = cosignatureTime(signed, line, key);
    if (seconds === undefined) throw failed('its cosignature is not good');
    if (best === undefined || seconds > best.seconds) best = { kind: 'cosigned', line, seconds };
  }
  if (best === undefined) throw failed(`it answered without a cosignature of ${key.name}`);
  return best;
}

function conflictSize(type: string, text: string): number {
  const size = /^(0|[1-9][0-9]{0,15})\n$/.exec(text)?.[1];
  if (type !== 'text/x.tlog.size' || size === undefined || !Number.isSafeInteger(Number(size))) {
    throw failed('it answered 409 without the size it has cosigned');
  }
  return Number(size);
}

/** The latest checkpoint of a log that a witness has cosigned, as it sent it: nothing in it is checked. Throws `witness_failed`. */
export async function fetchCosigned(call: WitnessCall, origin: string): Promise<string> {
  const { status, text } = await ask(call, `${originHash(origin)}/checkpoint`, { method: 'GET' });
  if (status === 404) throw failed(`it has cosigned no checkpoint of ${origin}`);
  if (status !== 200) throw failed(`it answered ${status}`);
  return text;
}

async function ask(
  { url, fetch = globalThis.fetch, signal }: WitnessCall,
  path: string,
  init: { readonly method: 'GET' | 'POST'; readonly body?: Buffer },
): Promise<{ status: number; type: string; text: string }> {
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/${path}`, {
      ...init,
      signal,
      redirect: 'error',
    });
    const text = await readText(response, noteBytesMax);
    return { status: response.status, type: response.headers.get('content-type') ?? '', text };
  } catch (error) {
    if (error instanceof AuditError) throw error;
    throw failed(`it did not answer: ${causeOf(error)}`, error);
  }
}

async function readText(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw failed(`its answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `fetch` says "fetch failed" and puts the reason into the cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return reasonOf(cause);
}

function failed(reason: string, cause?: unknown): AuditError {
  return new AuditError('witness_failed', reason, { cause });
}

/** A note with one more signature line; of the lines of one key only the newest stays. */
export function withLine(note: string, line: NoteSignature): string {
  const parsed = parseNote(Buffer.from(note));
  const others = parsed.signatures.filter(
    (other) => other.name !== line.name || other.hash !== line.hash,
  );
  return `${parsed.text}\n${[...others, line].map(formatSignatureLine).join('')}`;
}
