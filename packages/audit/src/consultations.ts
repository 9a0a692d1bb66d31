import type { MessagePort } from 'node:worker_threads';
import { AuditError } from './errors.js';
import { answerMs, type Caller, maybeAnswered, messagesMax } from './hook.js';
import { type FromConsultations, offer, type ToConsultations, withdraw } from './hook-messages.js';
import { Stays } from './stays.js';
import { type PlainError, toPlainError } from './thread-messages.js';

/** Messages that the hook has at a time, of all guests; one of each guest has a slot beyond that. */
const sharedMax = 512;
/** As many as there are guests, so that no flood of others keeps one out. */
const ownSlotsMax = 512;
export const slotsMax = sharedMax + ownSlotsMax;
/** How long messages that the hook has are waited for when the door is closed. */
const closeMs = 500;

/** A guest, as far as it sends messages. */
export interface Sender {
  readonly client: string;
  readonly pid: number;
  readonly emitter: string | undefined;
  /** Whether it leaves so much unread that nothing more is to be asked for it. */
  readonly isDeaf: boolean;
  consulted(id: number, answer: string): void;
  /** Without an error the message was not considered. */
  notConsulted(id: number, error?: PlainError): void;
}

interface Waiting {
  /** The guest's own number of the message. */
  readonly id: number;
  readonly message: string;
  readonly since: number;
}

/** A message that the hook has, or may take. */
interface Handed {
  readonly guest: Sender;
  readonly id: number;
  readonly since: number;
  /** The guest was told what became of it; the slot is free when the hook's thread says so too. */
  told: boolean;
}

/** What one guest has here. */
interface Line {
  readonly waiting: Waiting[];
  handed: number;
}

/**
 * The messages of guests on their way to the hook, which is on another thread, and back. Guests take turns, one message each;
 * what is not answered in time is taken back, or counts as decided where the hook has it already.
 */
export class Consultations {
  readonly #port: MessagePort;
  readonly #claims: Int32Array;
  readonly #stays: Stays;
  readonly #lines = new Map<Sender, Line>();
  /** Who has messages waiting, in the order of their turns. */
  readonly #turns = new Set<Sender>();
  readonly #slots: (Handed | undefined)[] = Array.from({ length: slotsMax });
  readonly #free: number[] = Array.from({ length: slotsMax }, (_, at) => slotsMax - 1 - at);
  #onIdle: (() => void) | undefined;
  #closed = false;

  constructor(port: MessagePort, claims: Int32Array) {
    this.#port = port;
    this.#claims = claims;
    this.#stays = new Stays((from) => this.#say({ kind: 'gone', from }));
    port.on('message', (message: ToConsultations) => this.#receive(message));
  }

  #say(message: FromConsultations): void {
    this.#port.postMessage(message);
  }

  take(guest: Sender, id: number, message: string): void {
    if (this.#closed) {
      guest.notConsulted(id);
      return;
    }
    const line = this.#lines.get(guest) ?? { waiting: [], handed: 0 };
    this.#lines.set(guest, line);
    line.waiting.push({ id, message, since: performance.now() });
    this.#turns.add(guest);
    this.pump();
  }

  /** Hands over what there is room for; also to be called when a guest has read what it was told. */
  pump(): void {
    // A guest that had its turn is added again, and so comes round after the others.
    for (const guest of this.#turns) {
      if (this.#free.length === 0) return;
      const line = this.#lines.get(guest)!;
      const shared = slotsMax - this.#free.length < sharedMax;
      if (guest.isDeaf || line.handed >= messagesMax || (!shared && line.handed > 0)) continue;
      this.#turns.delete(guest);
      this.#hand(guest, line, line.waiting.shift()!);
      if (line.waiting.length > 0) this.#turns.add(guest);
    }
  }

  #hand(guest: Sender, line: Line, { id, message, since }: Waiting): void {
    const from = callerOf(guest);
    if (!this.#stays.begin(from)) {
      guest.notConsulted(id, toPlainError(nameTaken()));
      return;
    }
    const slot = this.#free.pop()!;
    line.handed++;
    this.#slots[slot] = { guest, id, since, told: false };
    offer(this.#claims, slot);
    this.#say({ kind: 'consult', slot, message, from });
  }

  #receive({ slot, answer, error }: ToConsultations): void {
    const handed = this.#slots[slot];
    if (handed === undefined) return;
    const { guest, id, told } = handed;
    this.#slots[slot] = undefined;
    this.#free.push(slot);
    const line = this.#lines.get(guest);
    if (line !== undefined) line.handed--;
    if (!told) {
      if (answer !== undefined) guest.consulted(id, answer);
      else guest.notConsulted(id, error);
    }
    if (this.#onIdle !== undefined && this.#isIdle()) this.#onIdle();
    this.pump();
  }

  /** Once in a while: whose time is over? */
  look(nowMs: number): void {
    const isLate = ({ since }: { readonly since: number }): boolean => nowMs - since > answerMs;
    this.#slots.forEach((handed, slot) => {
      if (handed !== undefined && !handed.told && isLate(handed)) this.#giveUp(handed, slot);
    });
    for (const [guest, { waiting }] of this.#lines) {
      while (waiting[0] !== undefined && isLate(waiting[0])) {
        guest.notConsulted(waiting.shift()!.id, toPlainError(busy()));
      }
      if (waiting.length === 0) this.#turns.delete(guest);
    }
  }

  #giveUp(handed: Handed, slot: number): void {
    handed.told = true;
    const error = withdraw(this.#claims, slot) ? busy() : late();
    handed.guest.notConsulted(handed.id, toPlainError(error));
  }

  /** A client has come, perhaps again; whether the hook knows it still. */
  came(guest: Sender): boolean {
    return this.#stays.came(callerOf(guest));
  }

  /** What the hook has not taken it never will. */
  left(guest: Sender, clean: boolean): void {
    this.#lines.delete(guest);
    this.#turns.delete(guest);
    this.#slots.forEach((handed, slot) => {
      if (handed?.guest !== guest) return;
      handed.told = true;
      withdraw(this.#claims, slot);
    });
    if (!this.#closed) this.#stays.end(callerOf(guest), clean);
  }

  #isIdle(): boolean {
    return this.#slots.every((handed) => handed === undefined || handed.told);
  }

  /**
   * Takes no more. Guests hear which of their messages were not considered, so that they ask the next writer; what the hook
   * has it is given a moment to answer.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stays.close();
    for (const [guest, { waiting }] of this.#lines) {
      for (const { id } of waiting.splice(0)) guest.notConsulted(id);
    }
    this.#turns.clear();
    this.#slots.forEach((handed, slot) => {
      if (handed === undefined || handed.told || !withdraw(this.#claims, slot)) return;
      handed.told = true;
      handed.guest.notConsulted(handed.id);
    });
    if (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        const patience = setTimeout(resolve, closeMs);
        this.#onIdle = () => {
          clearTimeout(patience);
          resolve();
        };
      });
    }
    this.#port.close();
  }
}

function callerOf({ client, pid, emitter }: Sender): Caller {
  return emitter === undefined ? { client, pid } : { client, pid, emitter };
}

function nameTaken(): AuditError {
  return new AuditError(
    'protocol_mismatch',
    'a client of another emitter has the name of this one; open the log again',
  );
}

function busy(): AuditError {
  return new AuditError(
    'log_unavailable',
    `the program of process ${process.pid}, which writes the log, was too busy to take the message for ${answerMs / 1000} s; nothing was decided, so try again, or end it`,
  );
}

function late(): AuditError {
  return maybeAnswered(
    `the program of process ${process.pid}, which writes the log, took the message and has not answered for ${answerMs / 1000} s`,
  );
}
