import { visible } from './visible.js';

/** 1: it could not be done or was found bad; 2: wrong usage; 3: it cannot be verified. */
export type FailureExit = 1 | 2 | 3;

/** An error whose message is for the person at the terminal, with the exit code it stands for. */
export class CliError extends Error {
  readonly exitCode: FailureExit;
  /** Where one error stands for several faults: a line for each. */
  readonly lines: readonly string[];

  constructor(
    exitCode: FailureExit,
    message: string,
    options?: { cause?: unknown; lines?: readonly string[] },
  ) {
    super(message, options);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.lines = options?.lines ?? [message];
  }
}

export function usageError(message: string, cause?: unknown): CliError {
  return new CliError(2, message, cause === undefined ? undefined : { cause });
}

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system error or of an AuditError, or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function exitCodeOf(error: unknown): FailureExit {
  return error instanceof CliError ? error.exitCode : 1;
}

/**
 * The one line that reports an error on stderr, or one for each fault of a configuration; with GATEBOOK_DEBUG set, its stack and
 * causes follow.
 */
export function describeFailure(error: unknown, debug: boolean): string {
  if (error instanceof CliError) {
    const lines = error.lines.map((each) => `gatebook: ${visible(each)}\n`).join('');
    return debug ? lines + stackOf(error) : lines;
  }
  // Told by its name, so that a wrong option is reported without loading the log's code.
  const code = error instanceof Error && error.name === 'AuditError' ? ` (${codeOf(error)})` : '';
  const line = `gatebook: ${visible(reasonOf(error))}${code}\n`;
  return debug ? line + stackOf(error) : line;
}

const causesMax = 10;

function stackOf(error: unknown): string {
  let text = '';
  let at: unknown = error;
  for (let i = 0; i < causesMax && at instanceof Error; i++) {
    text += `${i === 0 ? '' : 'caused by '}${at.stack ?? at.message}\n`;
    at = at.cause;
  }
  return text;
}
