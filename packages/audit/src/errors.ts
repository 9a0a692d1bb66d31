/** Every reason an audit log can give for not doing what was asked. */
export type AuditErrorCode =
  | 'cycle'
  | 'bigint'
  | 'unsafe_integer'
  | 'not_finite'
  | 'lone_surrogate'
  | 'prototype_key'
  | 'not_json'
  | 'too_large'
  | 'too_deep'
  | 'unknown_type'
  | 'unknown_member'
  | 'missing_member'
  | 'wrong_type'
  | 'queue_full'
  | 'log_closed'
  | 'log_locked'
  | 'log_unavailable'
  | 'unknown_outcome'
  | 'event_id_conflict'
  | 'protocol_mismatch'
  | 'bad_token'
  | 'bad_socket'
  | 'log_damaged'
  | 'log_rolled_back'
  | 'wrong_log'
  | 'keys_missing'
  | 'keys_unsafe'
  | 'signer_failed'
  | 'write_failed'
  | 'log_failed'
  | 'not_found'
  | 'bad_checkpoint'
  | 'bad_proof'
  | 'bad_key'
  | 'bad_policy'
  | 'witness_failed'
  | 'anchor_failed'
  | 'bad_option'
  | 'held'
  | 'no_hook'
  | 'hook_failed';

/**
 * The one error class of this package. `code` is for programs, `message` says what was tried, on what, and what
 * to do; `member` names the offending member of an event (`action.arguments.path`) where there is one.
 */
export class AuditError extends Error {
  readonly code: AuditErrorCode;
  readonly member: string | undefined;

  constructor(
    code: AuditErrorCode,
    message: string,
    options?: { cause?: unknown; member?: string | undefined },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AuditError';
    this.code = code;
    this.member = options?.member;
  }
}

/** The message of whatever was thrown, for putting into another error's message. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  try {
    return String(error);
  } catch {
    // Somebody threw an object that has no text.
    return typeof error;
  }
}

/** The `code` of a Node system error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
