import { createHash, hkdfSync } from 'node:crypto';
import { RecordHasher } from './chain.js';
import { AuditError } from './errors.js';

const keyBytes = 32;

/** The key of the next epoch: HKDF-SHA256 (RFC 5869), one way; docs/format.md §4. */
export function nextEpochKey(key: Uint8Array, origin: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, origin, 'gatebook/v1/epoch-key', keyBytes));
}

/** One line, `origin+checksum+base64(key)`; the checksum finds typing errors. */
export function formatHmacKey(origin: string, key: Uint8Array): string {
  return `${origin}+${checksum(origin, key)}+${Buffer.from(key).toString('base64')}\n`;
}

/** Reads what `formatHmacKey` wrote. Throws `bad_key` without repeating any of the key. */
export function parseHmacKey(text: string): { readonly origin: string; readonly key: Buffer } {
  const line = text.trim();
  const first = line.indexOf('+');
  const second = line.indexOf('+', first + 1);
  const origin = line.slice(0, Math.max(first, 0));
  const key = Buffer.from(line.slice(second + 1), 'base64');
  if (first < 1 || second < 0 || key.length !== keyBytes) {
    throw new AuditError(
      'bad_key',
      'not an HMAC key line: expected origin+checksum+base64 of 32 bytes',
    );
  }
  if (line.slice(first + 1, second) !== checksum(origin, key)) {
    throw new AuditError('bad_key', `the HMAC key line of ${origin} does not match its checksum`);
  }
  return { origin, key };
}

function checksum(origin: string, key: Uint8Array): string {
  const hash = createHash('sha256').update(`${origin}\ngatebook/v1/hmac-key\n`).update(key);
  return hash.digest('hex').slice(0, 8);
}

/** The keys of all epochs from one on, for a verifier; derives forward and never needs to go back far. */
export class EpochKeys {
  readonly #origin: string;
  readonly #firstKey: Buffer;
  #epoch = 0;
  #key: Buffer;
  #hasher: RecordHasher;

  constructor(initialKey: Uint8Array, origin: string) {
    this.#origin = origin;
    this.#firstKey = Buffer.from(initialKey);
    this.#key = this.#firstKey;
    this.#hasher = new RecordHasher(this.#key);
  }

  /** The hasher under an epoch's key. Going forward costs one derivation for each epoch passed; going back starts again at 0. */
  at(epoch: number): RecordHasher {
    if (epoch === this.#epoch) return this.#hasher;
    if (epoch < this.#epoch) {
      this.#epoch = 0;
      this.#key = this.#firstKey;
    }
    while (this.#epoch < epoch) {
      this.#key = nextEpochKey(this.#key, this.#origin);
      this.#epoch++;
    }
    this.#hasher = new RecordHasher(this.#key);
    return this.#hasher;
  }
}
