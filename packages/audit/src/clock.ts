import * as fs from 'node:fs';
import { uptime } from 'node:os';

/** The clocks a log reads: what people call the time, and one that only goes forward. */
export interface Clock {
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start. */
  monotonicMs(): number;
  /** Which start of the machine this is, and how long ago it was; undefined where that cannot be told. */
  boot(): { readonly id: string; readonly ms: number } | undefined;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  boot: () => {
    const id = bootId();
    return id === undefined ? undefined : { id, ms: uptime() * 1_000 };
  },
};

function bootId(): string | undefined {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux; then no clock vouches for the time between two openings.
    return undefined;
  }
}

/** A wall clock that moved this much against the monotonic one has jumped. */
export const clockJumpMs = 2_000;
