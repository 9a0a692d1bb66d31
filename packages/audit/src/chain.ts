import { createHmac, type KeyObject } from 'node:crypto';

/** What `prev_hash` is at seq 0. */
export const firstPrevHash = '0'.repeat(64);

/** `,"hash":"` + 64 hex + `"}`: the end of every line, which the HMAC does not cover. */
export const hashMemberBytes = 75;

/**
 * The keyed hash of a record: hex HMAC-SHA256 (RFC 2104) under its epoch's key over the stored bytes of its line before
 * `,"hash":"`; docs/format.md §4.
 */
export function recordHash(key: KeyObject, body: Uint8Array): string {
  return createHmac('sha256', key).update(body).digest('hex');
}

const epochEnds: ReadonlySet<string> = new Set(['log.epoch', 'log.sealed', 'log.closed']);

/** Whether the record after one of this type is in the next epoch. */
export function endsEpoch(eventType: string): boolean {
  return epochEnds.has(eventType);
}
