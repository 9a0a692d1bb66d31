import type { Reason } from '../meter.js';
import type { Appointment } from './agenda.js';
import type { Ask } from './ask.js';
import type { Attempt, Booked } from './attempt.js';
import type { Booking } from './bookings.js';
import type { Judged } from './reply.js';

export type Waited = Attempt | { readonly judged: Judged; readonly why: Reason };

/** Somebody who waits in this process. */
export interface Waiter {
  ask: Ask;
  idKey: string;
  readonly order: number;
  readonly deadline: number;
  judged: Judged;
  /** The queue it stands in; undefined while it is in none. */
  queue: Queue | undefined;
  isOver: boolean;
  isAsking: boolean;
  /** What it was booked, until that is ready or given up. */
  booked: { readonly attempt: Booked; readonly booking: Booking } | undefined;
  polls: number;
  expiry: Appointment | undefined;
  finish(waited: Waited): void;
  fail(error: unknown): void;
}

/** Who waits for one key, by arrival. */
export interface Queue {
  readonly key: string;
  readonly waiters: Waiter[];
  due: Appointment | undefined;
}
