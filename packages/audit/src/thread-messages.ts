import type { AuditErrorCode } from './errors.js';
import { AuditError, reasonOf, systemCode } from './errors.js';
import type { KeyRotationOptions } from './signing-keys.js';

/** What passes between a log and its writer's thread. */

export type ToWriter =
  | { readonly kind: 'append'; readonly batch: Uint8Array; readonly count: number }
  | { readonly kind: 'checkpoint'; readonly id: number }
  | { readonly kind: 'rotate'; readonly id: number }
  | { readonly kind: 'keys'; readonly id: number; readonly request: KeyRequest }
  | { readonly kind: 'close' };

export type KeyRequest =
  | { readonly action: 'rotate'; readonly options: KeyRotationOptions }
  | { readonly action: 'retire' };

/** An error as it crosses threads. */
export interface PlainError {
  readonly code: AuditErrorCode;
  readonly message: string;
  readonly systemCode?: string;
}

/** What became of records, in the order they were handed in. */
export type Outcome =
  | { readonly count: number; readonly firstSeq: number }
  | { readonly count: number; readonly error: PlainError };

export type FromWriter =
  | {
      readonly kind: 'ready';
      readonly origin: string;
      readonly publicKey: string;
      readonly initialKeyFile: string | undefined;
    }
  | { readonly kind: 'refused'; readonly error: PlainError }
  | { readonly kind: 'outcomes'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'checkpoint'; readonly id: number; readonly note: string }
  | { readonly kind: 'checkpoint_failed'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'rotated'; readonly id: number; readonly sealed: number | undefined }
  | { readonly kind: 'rotate_failed'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'keys'; readonly id: number; readonly publicKey: string }
  | { readonly kind: 'keys_failed'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'closed'; readonly error: PlainError | undefined };

export interface WriterThreadData {
  readonly options: import('./options.js').WriterOptions;
  readonly port: import('node:worker_threads').MessagePort;
  /** One Int32 that the log raises and notifies whenever it sends. */
  readonly signal: Int32Array;
}

export function toPlainError(error: unknown): PlainError {
  const cause = error instanceof Error ? error.cause : undefined;
  const system = systemCode(cause) ?? systemCode(error);
  return {
    code: error instanceof AuditError ? error.code : 'log_failed',
    message: reasonOf(error),
    ...(system === undefined || error instanceof AuditError === false
      ? {}
      : { systemCode: system }),
  };
}

export function fromPlainError(plain: PlainError): AuditError {
  if (plain.systemCode === undefined) return new AuditError(plain.code, plain.message);
  const cause = Object.assign(new Error(plain.message), { code: plain.systemCode });
  return new AuditError(plain.code, plain.message, { cause });
}
