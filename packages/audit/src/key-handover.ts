import type { Clock } from './clock.js';
import { readProgress } from './cosigned.js';
import type { SigningKeys } from './signing-keys.js';

/** How often it is looked whether a witness has taken the new key. */
const lookMs = 1_000;

/**
 * Whom an overlap waits for when it was not said: the witnesses that the log is opened with, else those that have cosigned
 * it before. False where there is none: the old key ends at once.
 */
export function witnessesToAwait(
  dir: string,
  configured: readonly string[],
): readonly string[] | false {
  const fed = readProgress(dir).filter(
    ({ kind, size }) => kind === 'witness' && size !== undefined,
  );
  const names = configured.length > 0 ? configured : fed.map(({ name }) => name);
  return names.length > 0 ? names : false;
}

/**
 * Says when an overlap that waits for witnesses can end: once each of them has cosigned a checkpoint that carried the new
 * key's signature alone, which it could only do if it knows that key. Whichever process feeds the witnesses notes that
 * in the log folder (`witness-sink.ts`); somebody who forges the note makes a witness refuse the log, and no more.
 */
export class KeyHandover {
  readonly #dir: string;
  readonly #signing: SigningKeys;
  readonly #clock: Clock;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(dir: string, signing: SigningKeys, clock: Clock) {
    this.#dir = dir;
    this.#signing = signing;
    this.#clock = clock;
  }

  /** By the monotonic clock; undefined while nothing is waited for. */
  dueMs(): number | undefined {
    return this.#signing.awaited === undefined ? undefined : this.#lookedMs + lookMs;
  }

  /** Whether the old key can retire. */
  look(): boolean {
    const { awaited } = this.#signing;
    const nowMs = this.#clock.monotonicMs();
    if (awaited === undefined || nowMs < this.#lookedMs + lookMs) return false;
    this.#lookedMs = nowMs;
    const taken = readProgress(this.#dir).filter(
      ({ kind, logKey }) => kind === 'witness' && logKey === awaited.publicKey.hash,
    );
    return awaited.witnesses.every((name) => taken.some((progress) => progress.name === name));
  }
}
