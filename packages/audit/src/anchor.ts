import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { noteBytesMax, parseCheckpointText, parseNote } from './checkpoint.js';
import type { SignedCheckpoint } from './cosigned.js';
import { makeFolder, readRegular, replaceFileDurably } from './durable.js';
import { AuditError, reasonOf } from './errors.js';
import type { Sink } from './feeder.js';
import { readTimestamp, timestampRequest, verifyTimestamp } from './rfc3161.js';
import { sequenceName } from './segment.js';
import type { Fetch } from './witness-client.js';
import { checkUrl } from './witness-sink.js';

/**
 * Anchors, for logs that no witness serves: places outside the log where checkpoints are kept. An anchor file has one
 * JSON object a line, an *entry*; docs/format.md §10.
 */

export type AnchorAddress =
  /** A file to append to, best on a medium that only appends, or on another host. */
  | { readonly file: string }
  /** A shell command that gets the checkpoint on its standard input. */
  | { readonly command: string }
  /** The URL of an RFC 3161 time stamping authority. Stamps are kept in the log's `anchors` folder. */
  | { readonly tsa: string };

export interface AnchorEntry {
  /** RFC 3339: by the clock of whoever wrote the entry, or the time stamp's own. */
  readonly anchoredAt: string;
  /** The signed note. */
  readonly checkpoint: string;
  /** A DER TimeStampResp over the note's bytes. */
  readonly timestamp?: Buffer;
}

export const anchorsFolder = 'anchors';
const answerBytesMax = 64 * 1024;
const anchorFileBytesMax = 1024 * 1024 * 1024;

export function anchorSink(
  address: AnchorAddress,
  options: { readonly intervalMs: number; readonly fetch?: Fetch | undefined },
): Sink {
  const { intervalMs } = options;
  const kind = 'anchor';
  if ('file' in address) {
    const file = path.resolve(address.file);
    return {
      kind,
      name: `file ${file}`,
      intervalMs,
      send: async (_dir, signed) => ({ heldMs: await toFile(file, signed) }),
    };
  }
  if ('command' in address) {
    const { command } = address;
    // Arguments may be secrets; the program's name is not.
    const name = `command ${path.basename(command.trim().split(/\s+/)[0] ?? '')}`;
    const send: Sink['send'] = async (_dir, signed, signal) => ({
      heldMs: await toCommand(command, signed, signal),
    });
    return { kind, name, intervalMs, send };
  }
  checkUrl(address.tsa);
  const name = `time stamps of ${new URL(address.tsa).host}`;
  const fetch = options.fetch ?? globalThis.fetch;
  const send: Sink['send'] = async (dir, signed, signal) => ({
    heldMs: await toAuthority(address.tsa, fetch, dir, signed, signal),
  });
  return { kind, name, intervalMs, send };
}

function formatEntry({ anchoredAt, checkpoint, timestamp }: AnchorEntry): string {
  const stamp = timestamp === undefined ? {} : { rfc3161: timestamp.toString('base64') };
  return `${JSON.stringify({ anchored_at: anchoredAt, checkpoint, ...stamp })}\n`;
}

/** Written in one call and synced; a line that a crash cut short is ended first. */
async function toFile(file: string, { note }: SignedCheckpoint): Promise<number> {
  const now = Date.now();
  const entry = formatEntry({ anchoredAt: new Date(now).toISOString(), checkpoint: note });
  try {
    const handle = await fs.promises.open(file, 'a+', 0o600);
    try {
      const { size } = await handle.stat();
      const last = Buffer.alloc(1, '\n');
      if (size > 0) await handle.read(last, 0, 1, size - 1);
      const bytes = Buffer.from(`${last.toString() === '\n' ? '' : '\n'}${entry}`);
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.length) throw new Error('only part of the entry could be written');
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw failed(`it cannot be appended to: ${reasonOf(error)}`, error);
  }
  return now;
}

function toCommand(
  command: string,
  { note }: SignedCheckpoint,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    // Its own process group, so that what the shell has started ends with it.
    const child = spawn(command, {
      shell: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: process.platform !== 'win32',
    });
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    };
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    child.stdin.on('error', () => {});
    child.stdin.end(note);
    child.on('error', (error) => reject(failed(`it cannot be started: ${error.message}`, error)));
    child.on('exit', (code, killedBy) => {
      signal.removeEventListener('abort', end);
      if (code === 0) resolve(Date.now());
      else if (signal.aborted) reject(failed('it did not end in time'));
      else reject(failed(`it ended with ${killedBy ?? `exit code ${code}`}`));
    });
  });
}

async function toAuthority(
  url: string,
  fetch: Fetch,
  dir: string,
  { note, checkpoint }: SignedCheckpoint,
  signal: AbortSignal,
): Promise<number> {
  const data = Buffer.from(note);
  const { der, nonce } = await timestampRequest(data);
  const timestamp = await askAuthority(url, fetch, der, signal);
  const stampedMs = await readTimestamp(timestamp, data, nonce);
  const folder = path.join(dir, anchorsFolder);
  makeFolder(folder);
  const anchoredAt = new Date(stampedMs).toISOString();
  replaceFileDurably(
    path.join(folder, sequenceName(checkpoint.size)),
    formatEntry({ anchoredAt, checkpoint: note, timestamp }),
  );
  return stampedMs;
}

async function askAuthority(
  url: string,
  fetch: Fetch,
  der: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/timestamp-query' },
      body: der,
      signal,
      redirect: 'error',
    });
    if (response.status !== 200) throw failed(`it answered ${response.status}`);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > answerBytesMax) throw failed(`its answer is larger than ${answerBytesMax} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof AuditError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw failed(`it did not answer: ${reasonOf(cause)}`, error);
  }
}

/**
 * The entries of an anchor file. What is not JSON is the rest of a write that a crash cut short, and is passed over; of
 * entries with the same checkpoint and no time stamp only the newest is given. Throws `bad_checkpoint`.
 */
export function readAnchors(file: string): AnchorEntry[] {
  const bytes = readRegular(file, anchorFileBytesMax);
  if (bytes === undefined) throw new AuditError('bad_checkpoint', `${file} is not there`);
  const entries = new Map<string, AnchorEntry>();
  let from = 0;
  for (let line = 1; from < bytes.length; line++) {
    const end = bytes.indexOf(10, from);
    const text = bytes.toString('utf8', from, end < 0 ? bytes.length : end);
    from = end < 0 ? bytes.length : end + 1;
    const entry = parseEntry(text, `${file}, line ${line}`);
    if (entry !== undefined) entries.set(`${entry.checkpoint}${entry.timestamp ?? ''}`, entry);
  }
  if (entries.size === 0) throw new AuditError('bad_checkpoint', `${file} holds no anchor entry`);
  return [...entries.values()];
}

function parseEntry(text: string, where: string): AnchorEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const bad = (reason: string): AuditError =>
    new AuditError('bad_checkpoint', `${where}: ${reason}`);
  if (typeof value !== 'object' || value === null) throw bad('not an anchor entry');
  const { anchored_at: at, checkpoint, rfc3161 } = value as Record<string, unknown>;
  const time = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  if (typeof at !== 'string' || typeof checkpoint !== 'string' || Number.isNaN(time)) {
    throw bad('not an anchor entry: anchored_at and checkpoint are wanted');
  }
  if (checkpoint.length > noteBytesMax) throw bad('its checkpoint is too large');
  try {
    parseCheckpointText(parseNote(Buffer.from(checkpoint)).text);
  } catch (error) {
    throw bad(reasonOf(error));
  }
  if (rfc3161 === undefined) return { anchoredAt: at, checkpoint };
  if (typeof rfc3161 !== 'string') throw bad('rfc3161 is not base64');
  return { anchoredAt: at, checkpoint, timestamp: Buffer.from(rfc3161, 'base64') };
}

/**
 * When an entry's checkpoint was there, in ms, by somebody who can be trusted: a time stamp under the roots brought, else,
 * for an entry without one, whoever keeps the file. Undefined for a time stamp that no root brought speaks for.
 */
export async function anchorTime(
  entry: AnchorEntry,
  roots: Parameters<typeof verifyTimestamp>[2],
): Promise<number | undefined> {
  if (entry.timestamp === undefined) return Date.parse(entry.anchoredAt);
  if (roots.length === 0) return undefined;
  return await verifyTimestamp(entry.timestamp, Buffer.from(entry.checkpoint), roots);
}

function failed(reason: string, cause?: unknown): AuditError {
  return new AuditError('anchor_failed', reason, { cause });
}
