import { randomBytes } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import { AuditError, reasonOf } from './errors.js';
import {
  answerMs,
  type Caller,
  type Consulted,
  checkMessage,
  type HookEnd,
  type HookMaker,
  type MessageHook,
  maybeAnswered,
  noHook,
} from './hook.js';
import { claim, type FromConsultations, type ToConsultations } from './hook-messages.js';
import { toPlainError } from './thread-messages.js';

/** How long answers that are promised may take when the log is closed … */
const settleMs = 500;
/** … and then the hook's own closing. */
const closeMs = 1_000;
/** Of what a hook throws, so much is passed on. */
const reasonMax = 1_000;

/** A caller that the hook has seen. */
interface Seen {
  /** Answers that are promised. */
  pending: number;
  /** It has gone, and the hook is told when nothing is pending. */
  gone: boolean;
}

/** The hook of the log that this process writes: made at the first message, told who has gone, closed with the log. */
export class HookHost {
  readonly id = randomBytes(16).toString('hex');
  readonly #make: HookMaker | undefined;
  readonly #holds: () => boolean;
  #hook: MessageHook | undefined;
  readonly #seen = new Map<string, Seen>();
  /** Ends the waiting for each answer that is promised. */
  readonly #pending = new Set<() => void>();
  #onSettled: (() => void) | undefined;
  #stopped = false;
  #port: MessagePort | undefined;

  /** `holds`: whether the lock is still this process's; without it nothing is decided. */
  constructor(make: HookMaker | undefined, holds: () => boolean) {
    this.#make = make;
    this.#holds = holds;
  }

  /** Answers what guests ask by way of the door. */
  serve(port: MessagePort, claims: Int32Array): void {
    const reply = (message: ToConsultations): void => port.postMessage(message);
    port.on('message', (message: FromConsultations) => {
      if (message.kind === 'gone') this.#left(message.from);
      else if (this.#stopped || !claim(claims, message.slot)) reply({ slot: message.slot });
      else this.#serve(message, reply);
    });
    port.unref();
    this.#port = port;
  }

  #serve(
    { slot, message, from }: Extract<FromConsultations, { kind: 'consult' }>,
    reply: (message: ToConsultations) => void,
  ): void {
    const refuse = (error: unknown): void => reply({ slot, error: toPlainError(error) });
    try {
      // Another process may have the log already; the client finds out which.
      const answer = this.#holds() ? this.#answer(message, from) : undefined;
      if (answer === undefined) reply({ slot });
      else if (typeof answer === 'string') reply({ slot, answer });
      else answer.then((text) => reply({ slot, answer: text }), refuse);
    } catch (error) {
      refuse(error);
    }
  }

  /** A message of this process's own. */
  async consult(message: string, from: Caller): Promise<Consulted> {
    if (this.#stopped) throw new AuditError('log_closed', 'the log is closed; open it again');
    if (!this.#holds()) {
      throw new AuditError(
        'log_failed',
        'the lock file was replaced or deleted, so another process may decide by now; open the log again',
      );
    }
    return { answer: await this.#answer(message, from), host: this.id };
  }

  #answer(message: string, from: Caller): string | Promise<string> {
    const hook = this.#made(from);
    let seen = this.#seen.get(from.client);
    if (seen === undefined) {
      seen = { pending: 0, gone: false };
      this.#seen.set(from.client, seen);
    }
    // Whoever asks is there again.
    seen.gone = false;
    try {
      const answer = hook.answer(message, from);
      if (typeof answer === 'string') return checkedAnswer(answer);
      return this.#await(Promise.resolve(answer), from, seen);
    } catch (error) {
      throw hookFailed(error, from);
    }
  }

  #made(from: Caller): MessageHook {
    if (this.#hook !== undefined) return this.#hook;
    if (this.#make === undefined) throw noHook();
    try {
      this.#hook = this.#make(this.id);
    } catch (error) {
      throw hookFailed(error, from);
    }
    return this.#hook;
  }

  /** Whoever waits is told in time, also where the hook never answers. */
  #await(answer: Promise<string>, from: Caller, seen: Seen): Promise<string> {
    seen.pending++;
    return new Promise((resolve, reject) => {
      const over = (): void => {
        clearTimeout(patience);
        this.#pending.delete(giveUp);
        if (this.#pending.size === 0) this.#onSettled?.();
      };
      const giveUp = (): void => {
        reject(maybeAnswered(`the hook of process ${process.pid} has not answered in time`));
        over();
      };
      const patience = setTimeout(giveUp, answerMs).unref();
      this.#pending.add(giveUp);
      answer
        .then(checkedAnswer)
        .then(resolve, (error: unknown) => reject(hookFailed(error, from)))
        .finally(() => {
          over();
          seen.pending--;
          if (seen.gone && seen.pending === 0) this.#tellLeft(from);
        });
    });
  }

  #left(caller: Caller): void {
    const seen = this.#seen.get(caller.client);
    if (seen === undefined) return;
    seen.gone = true;
    // What is being answered may still give it something.
    if (seen.pending === 0) this.#tellLeft(caller);
  }

  #tellLeft(caller: Caller): void {
    this.#seen.delete(caller.client);
    try {
      this.#hook?.left?.(caller);
    } catch {
      // Nobody waits for an answer to this.
    }
  }

  /** Takes no message any more; resolves when those that were taken are answered, or have had their time. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#pending.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onSettled = resolve;
      setTimeout(() => {
        for (const giveUp of [...this.#pending]) giveUp();
      }, settleMs).unref();
    });
  }

  /** Lets the hook write down what the next holder needs; not for long. */
  async close(how: HookEnd): Promise<void> {
    await this.stop();
    this.#port?.close();
    const hook = this.#hook;
    this.#hook = undefined;
    if (hook?.close === undefined) return;
    let patience: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<void>((resolve) => {
        patience = setTimeout(resolve, closeMs);
      });
      await Promise.race([hook.close(how), late]);
    } catch {
      // The log is closed all the same; what the hook did not write the next holder does without.
    } finally {
      clearTimeout(patience);
    }
  }
}

function checkedAnswer(answer: unknown): string {
  checkMessage(answer, 'answer');
  return answer;
}

/** Who comes with a token is a stranger, and need not know what is wrong here. */
function hookFailed(cause: unknown, { emitter }: Caller): AuditError {
  const reason = emitter === undefined ? `: ${reasonOf(cause).slice(0, reasonMax)}` : '';
  const message = `the hook of process ${process.pid}, which writes the log, failed${reason}`;
  return new AuditError('hook_failed', message.toWellFormed(), { cause });
}
