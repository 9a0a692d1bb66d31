import type { JsonObject } from './event.js';
import type { LogEventType } from './log-events.js';
import type { SigningKeys } from './signing-keys.js';

/** What the writer does for a change of keys. */
export interface KeyWriter {
  writeOwn(type: LogEventType, details: JsonObject): void;
  /** Publishes and keeps a checkpoint of everything on disk, durably. */
  publishKept(): void;
  /** How many records there are. */
  size(): number;
}

/**
 * Brings a change of keys as far as it can go: the record that names the new key, a kept checkpoint that ends with it and
 * carries both signatures, and, unless both are to go on signing, the record that retires the old key and a checkpoint of
 * the new one alone. Repeatable from any step; no other record may come between a step and the next.
 */
export function advanceKeys(signing: SigningKeys, writer: KeyWriter): void {
  for (let step = signing.step; step !== undefined; step = signing.step) {
    if (step === 'rotate' || step === 'retire') {
      const type = step === 'rotate' ? 'log.key_rotated' : 'log.key_retired';
      writer.writeOwn(type, signing.facts(step));
    } else writer.publishKept();
    signing.done(step, writer.size());
  }
}

/** The checkpoint that must cover the last record before another is written, if it is about keys. */
export function finishKeyRecord(signing: SigningKeys, writer: KeyWriter): void {
  const { step } = signing;
  if (step !== 'link' && step !== 'settle') return;
  writer.publishKept();
  signing.done(step, writer.size());
}
