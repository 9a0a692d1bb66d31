import type { MessagePort } from 'node:worker_threads';
import { AuditError, type AuditErrorCode, reasonOf, systemCode } from './errors.js';
import type { FileIdentity } from './lock.js';
import type { ContentMode, WriterOptions } from './options.js';
import type { Answer, Question } from './question.js';

/** What passes between a log, or the door for other processes, and the writer's thread. */

export type ToWriter =
  | { readonly kind: 'append'; readonly batch: Uint8Array; readonly count: number }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  /** Asks whether the lock's file is still in its place. */
  | { readonly kind: 'look' }
  | { readonly kind: 'close' };

/** An error as it crosses threads. */
export interface PlainError {
  readonly code: AuditErrorCode;
  readonly message: string;
  readonly systemCode?: string;
  readonly member?: string;
}

/** What became of records, in the order they were handed in. */
export type Outcome =
  | { readonly count: number; readonly firstSeq: number }
  | { readonly count: number; readonly error: PlainError };

/** What a log is, as its writer found it. */
export interface LogFacts {
  readonly origin: string;
  readonly publicKey: string;
  readonly initialKeyFile: string | undefined;
  readonly content: ContentMode;
}

export type FromWriter =
  | ({ readonly kind: 'ready' } & LogFacts)
  | { readonly kind: 'refused'; readonly error: PlainError }
  | { readonly kind: 'outcomes'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'answer_failed'; readonly id: number; readonly error: PlainError }
  /** The writer had to stop; nothing that is not answered yet will be. */
  | { readonly kind: 'failed'; readonly error: PlainError }
  | { readonly kind: 'closed'; readonly error: PlainError | undefined };

export interface WriterThreadData {
  readonly options: WriterOptions;
  readonly port: MessagePort;
  /** The port of the door. */
  readonly doorPort: MessagePort;
  /** One Int32 that the log and the door raise and notify whenever they send. */
  readonly signal: Int32Array;
  /** Where the writer says how many records are on disk. */
  readonly size: BigInt64Array;
  /** The lock that the log's process holds for this thread. */
  readonly lock: FileIdentity;
}

export interface DoorThreadData {
  readonly options: WriterOptions;
  readonly port: MessagePort;
  readonly signal: Int32Array;
  readonly size: BigInt64Array;
  readonly lock: FileIdentity;
  readonly door: DoorOptions;
  readonly hook: HookData;
}

/** The way to the hook, which is on the thread that opened the log. */
export interface HookData {
  readonly host: string;
  readonly port: MessagePort;
  /** One Int32 for each message that may be on that way. */
  readonly claims: Int32Array;
}

/** Where other processes come in, and who may. */
export interface DoorOptions {
  readonly socket: string;
  /** Whether the socket's folder is this user's own, made by us; else it was named by the operator. */
  readonly ownFolder: boolean;
  /** Members of this group may connect too. */
  readonly group?: number | undefined;
  /** Whose tokens are taken; without it whoever can connect may append. */
  readonly tokenFile?: string | undefined;
}

/** What the door's thread says to the thread that started it. */
export type FromDoor =
  | { readonly kind: 'listening' }
  | { readonly kind: 'left' }
  | { readonly kind: 'failed'; readonly error: PlainError };

export function toPlainError(error: unknown): PlainError {
  const cause = error instanceof Error ? error.cause : undefined;
  const system = systemCode(cause) ?? systemCode(error);
  return {
    code: error instanceof AuditError ? error.code : 'log_failed',
    message: reasonOf(error),
    ...(system === undefined || error instanceof AuditError === false
      ? {}
      : { systemCode: system }),
    ...(error instanceof AuditError && error.member !== undefined ? { member: error.member } : {}),
  };
}

export function fromPlainError(plain: PlainError): AuditError {
  const { code, message, member, systemCode: system } = plain;
  if (system === undefined) return new AuditError(code, message, { member });
  const cause = Object.assign(new Error(message), { code: system });
  return new AuditError(code, message, { cause, member });
}
