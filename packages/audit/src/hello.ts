import { AuditError } from './errors.js';
import { type Find, type FindEntry, type Hello, protocolVersion } from './relay-messages.js';

/** Messages of clients, checked member by member: whoever connects can send anything. */

const clientPattern = /^[0-9a-f]{32}$/;
const helloBytesMax = 4_096;

/** A hello of this version. Throws `protocol_mismatch`, for another version with a message that says which. */
export function parseHello(payload: Buffer): Hello {
  const message = payload.length <= helloBytesMax ? parseObject(payload) : {};
  const { protocol, client, pid, token } = message;
  checkVersion(protocol, 'the client', pid);
  if (typeof client !== 'string' || !clientPattern.test(client) || !Number.isSafeInteger(pid)) {
    throw unlike();
  }
  if (token !== undefined && typeof token !== 'string') throw unlike();
  return {
    protocol: protocolVersion,
    client,
    pid: Number(pid),
    ...(token === undefined ? {} : { token }),
  };
}

/** Refuses a side of another version, naming both. */
export function checkVersion(protocol: unknown, side: string, pid: unknown): void {
  if (protocol === protocolVersion) return;
  if (!Number.isSafeInteger(protocol)) throw unlike();
  throw new AuditError(
    'protocol_mismatch',
    `${side} (process ${Number(pid)}) speaks version ${Number(protocol)} of the protocol and this process version ${protocolVersion}; run the same version of gatebook in both`,
  );
}

export function parseFind(payload: Buffer): Find {
  const { after, entries, last } = parseObject(payload);
  const good =
    typeof after === 'number' &&
    Number.isSafeInteger(after) &&
    after >= -1 &&
    typeof last === 'boolean' &&
    Array.isArray(entries) &&
    entries.every(isEntry);
  if (!good) throw unlike();
  return { after, entries, last };
}

function isEntry(entry: unknown): entry is FindEntry {
  return (
    Array.isArray(entry) && entry.length === 3 && entry.every((text) => typeof text === 'string')
  );
}

/** A payload that is one JSON object. */
export function parseObject(payload: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // What is no JSON is no message either.
  }
  throw unlike();
}

function unlike(): AuditError {
  return new AuditError('protocol_mismatch', 'what was received is not of this protocol');
}
