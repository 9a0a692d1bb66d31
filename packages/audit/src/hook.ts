import { AuditError } from './errors.js';

/**
 * The message hook: what several processes over one log must agree on is held by the one that writes it. Whoever has the log
 * open sends that process a message (`AuditLog.consult`) and is told what its hook answers. The log knows nothing of what the
 * messages mean.
 */

/** Who sent a message, as far as it is known. */
export interface Caller {
  /**
   * 128 random bits in hex that the caller chose when it opened the log. They stay when the writer changes. No two callers
   * with different emitters have the same at a time.
   */
  readonly client: string;
  /** As the caller says; nothing proves it. */
  readonly pid: number;
  /** What its token proves, where the writer asks for tokens; undefined for the writer's own process. */
  readonly emitter?: string;
}

/** What answers the messages. It runs on the thread that opened the log, in the process that writes it. */
export interface MessageHook {
  /**
   * At most 64 KiB, within 2 s: a promise that takes longer is answered for with `unknown_outcome`, and its value is dropped.
   * What is thrown reaches the caller as `hook_failed`. Messages of one caller come in their order, but an answer that is
   * promised holds up no other.
   */
  answer(message: string, from: Caller): string | Promise<string>;
  /**
   * Told once when a caller that was answered has gone: it closed its log, or its connection ended and it has not come again
   * for 1 s. Nothing of it is being answered then. One that comes back later is a new one.
   */
  left?(caller: Caller): void;
  /**
   * The log is being closed, or its writer had to stop; nothing is asked any more. Awaited for 1 s at most before another
   * process can take the log over, so that what the next holder needs can be written down.
   */
  close?(how: HookEnd): void | Promise<void>;
}

export type HookEnd = 'clean' | 'failed';

/**
 * Makes the hook in the process that has come to write the log, at its first message; `host` names this time of holding it.
 * What is thrown is told to the caller, and the next message tries again.
 */
export type HookMaker = (host: string) => MessageHook;

export interface Consulted {
  readonly answer: string;
  /** 128 random bits in hex that name the writer: another one knows nothing of what this one was told. */
  readonly host: string;
}

/** Of a message, and of an answer. */
export const messageBytesMax = 64 * 1024;
/** Messages of one log that the writer has at a time; more wait in the process that sends them. */
export const messagesMax = 64;
/** How long an answer may take. */
export const answerMs = 2_000;

/** Throws `wrong_type`, `lone_surrogate` or `too_large` where a text cannot be sent. */
export function checkMessage(text: unknown, what: 'message' | 'answer'): asserts text is string {
  if (typeof text !== 'string') throw new AuditError('wrong_type', `the ${what} must be a text`);
  if (!text.isWellFormed()) {
    throw new AuditError('lone_surrogate', `the ${what} has a lone surrogate, which has no UTF-8`);
  }
  if (text.length * 3 <= messageBytesMax) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= messageBytesMax) return;
  throw new AuditError(
    'too_large',
    `the ${what} has ${bytes} bytes; at most ${messageBytesMax} can be sent`,
  );
}

export function noHook(): AuditError {
  return new AuditError(
    'no_hook',
    `process ${process.pid}, which writes the log, has opened it without a hook and answers no messages; end it, or have it open the log with the hook`,
  );
}

/** Whoever sent the message must take it for done. */
export function maybeAnswered(reason: string): AuditError {
  return new AuditError(
    'unknown_outcome',
    `${reason}; whether the message was decided on is not known, so count it as decided`,
  );
}
