import type { AuditEvent } from '@gatebook/audit';
import type { LimitOptions } from '../mcp/call-limits.js';
import type { Recording } from '../recording.js';
import { type LogChoice, withoutToken } from './log-choice.js';

/** What `gatebook mcp` and `gatebook exec` have in common: a command to start, and who it is started for. */
export interface LaunchOptions {
  readonly log: LogChoice;
  readonly command: readonly string[];
  readonly user?: string | undefined;
  readonly channel?: string | undefined;
  readonly agent?: string | undefined;
  readonly onLogFailure: 'refuse' | 'allow';
  readonly recording?: (() => Recording) | undefined;
  /** Recorded before anything else. */
  readonly first?: AuditEvent | undefined;
  /** Of `gatebook mcp`. */
  readonly limits?: LimitOptions | undefined;
}

export async function launchMcp(options: LaunchOptions): Promise<number> {
  const { runMcp } = await import('../mcp/run.js');
  return await runMcp({ ...options, env: withoutToken(process.env) });
}

export async function launchExec(options: LaunchOptions): Promise<number> {
  const { runExec } = await import('../exec/run.js');
  return await runExec({ ...options, env: withoutToken(process.env) });
}
