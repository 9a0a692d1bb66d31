import { randomFillSync } from 'node:crypto';

/** Random bytes are fetched for so many ids at once. */
const idsAtOnce = 256;
const bytesEach = 10;
const pool = Buffer.alloc(idsAtOnce * bytesEach);
let used = pool.length;

/** Room for the longest prefix, and the 36 characters of the UUID behind it. */
const prefixMax = 16;
const text = Buffer.alloc(prefixMax + 36, '-');
const digits = Buffer.from('0123456789abcdef');
/** Where the 19 random digits go, the variant's left out. */
const places = [15, 16, 17, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35];
const variantPlace = 19;
const variants = Buffer.from('89ab');
let lastMs = -1;

/**
 * A new id: `prefix` and a UUIDv7 (RFC 9562 §5.7), 48 bits of Unix milliseconds and then 74 random bits of the platform's CSPRNG.
 * Those of one millisecond are in no order; a log's order is `seq`. Written into one buffer, so that an id is one flat string.
 */
export function newId(prefix: 'evt_' | 'cnt_' | 'call_' | 'ses_'): string {
  const ms = Date.now();
  if (ms !== lastMs) {
    const hex = ms.toString(16).padStart(12, '0');
    text.write(`${hex.slice(0, 8)}-${hex.slice(8, 12)}-7`, prefixMax, 'latin1');
    lastMs = ms;
  }
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let i = 0; i < places.length; i++) {
    const byte = pool[used + (i >> 1)]!;
    text[prefixMax + places[i]!] = digits[i % 2 === 0 ? byte >> 4 : byte & 15]!;
  }
  text[prefixMax + variantPlace] = variants[pool[used + 9]! & 3]!;
  used += bytesEach;
  const start = prefixMax - prefix.length;
  text.write(prefix, start, 'latin1');
  return text.toString('latin1', start);
}
