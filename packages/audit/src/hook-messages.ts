import type { Caller } from './hook.js';
import type { PlainError } from './thread-messages.js';

/** What passes between the door, where guests hand messages in, and the thread that opened the log, where the hook is. */

export type FromConsultations =
  | {
      readonly kind: 'consult';
      readonly slot: number;
      readonly message: string;
      readonly from: Caller;
    }
  /** A guest whose messages were handed over does not come again. */
  | { readonly kind: 'gone'; readonly from: Caller };

/** Each message handed over comes back once: answered, failed, or neither where it was not considered. */
export interface ToConsultations {
  readonly slot: number;
  readonly answer?: string;
  readonly error?: PlainError;
}

/**
 * A message that waits for a busy thread can be taken back for certain only by what both sides change in one step. So each
 * slot of a shared array says whether the message in it is offered, taken by the hook, or withdrawn by the door.
 */
const offered = 1;
const taken = 2;
const withdrawn = 3;

export function offer(claims: Int32Array, slot: number): void {
  Atomics.store(claims, slot, offered);
}

/** For the hook; false when the message was withdrawn. */
export function claim(claims: Int32Array, slot: number): boolean {
  return Atomics.compareExchange(claims, slot, offered, taken) === offered;
}

/** For the door; false when the hook has the message already. */
export function withdraw(claims: Int32Array, slot: number): boolean {
  return Atomics.compareExchange(claims, slot, offered, withdrawn) === offered;
}
