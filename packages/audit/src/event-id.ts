import { randomUUID } from 'node:crypto';

let lastMs = -1;
let prefix = '';

/**
 * A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then the 74 random bits of a UUIDv4, whose version digit becomes 7.
 * Those of one millisecond are in no order; the log's order is `seq`.
 */
export function uuidv7(): string {
  const ms = Date.now();
  if (ms !== lastMs) {
    const hex = ms.toString(16).padStart(12, '0');
    prefix = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7`;
    lastMs = ms;
  }
  return prefix + randomUUID().slice(15);
}
