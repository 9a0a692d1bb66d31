import * as fs from 'node:fs';
import * as path from 'node:path';
import { parseVerifierKey } from '../checkpoint.js';
import { type Clock, systemClock } from '../clock.js';
import { makeFolder } from '../durable.js';
import type { AuditError } from '../errors.js';
import type { AuditEvent } from '../event.js';
import { createKeys, readKeys } from '../keys.js';
import { type AuditLogOptions, normaliseOptions } from '../options.js';
import { encodeEvent } from '../record.js';
import { findStanding } from '../recovery.js';
import { type VerifyOptions, verifyLog } from '../verify.js';
import type { VerifyReport } from '../verify-report.js';
import { Writer } from '../writer.js';
import type { Folders } from './folders.js';

/** What became of records handed to a writer, in the order it was said. */
export type Told =
  | { readonly firstSeq: number; readonly count: number }
  | { readonly count: number; readonly error: AuditError };

/** A writer on this thread, opened as the writer's thread does it, but without the lock. */
export function openDirect(
  folders: Folders,
  options: Partial<AuditLogOptions> = {},
  clock: Clock = systemClock,
): Writer {
  makeFolder(folders.dir);
  makeFolder(folders.keysDir);
  const keys = readKeys(folders.keysDir) ?? createKeys(folders.keysDir);
  const normalised = normaliseOptions({ ...folders, ...options });
  return new Writer(normalised, keys, findStanding(folders.dir, keys), clock);
}

/** Hands events over as one batch and says what was reported. */
export function appendEvents(writer: Writer, events: readonly AuditEvent[]): Told[] {
  const told: Told[] = [];
  const bodies = events.map((event) => `${encodeEvent(event, 'test').text}\n`);
  writer.append(Buffer.from(bodies.join('')), events.length, {
    durable: (firstSeq, count) => told.push({ firstSeq, count }),
    failed: (count, error) => told.push({ count, error }),
  });
  return told;
}

export function numbered(from: number, count: number): AuditEvent[] {
  return Array.from({ length: count }, (_, i) => ({
    eventType: 'test.event',
    details: { number: from + i },
  }));
}

export function publicKeyOf(folders: Folders): string {
  const text = fs.readFileSync(path.join(folders.keysDir, 'public-key'), 'utf8');
  return parseVerifierKey(text).text;
}

export function initialKeyOf(folders: Folders): string {
  return fs.readFileSync(path.join(folders.keysDir, 'initial-hmac-key'), 'utf8');
}

/** Verifies at the auditor's level, on this thread. */
export function audit(folders: Folders, more: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  return verifyLog({
    dir: folders.dir,
    publicKeys: [publicKeyOf(folders)],
    hmacKey: initialKeyOf(folders),
    threads: 1,
    ...more,
  });
}
