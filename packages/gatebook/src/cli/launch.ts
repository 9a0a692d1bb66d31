import type { AuditEvent } from '@gatebook/audit';
import type { Loaded } from '../config/load.js';
import type { LimitOptions } from '../gate/limit-options.js';
import type { Recording } from '../recording.js';
import { workingFolder } from './config-choice.js';
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
}

export interface McpLaunchOptions extends LaunchOptions {
  readonly loaded: Loaded | undefined;
  readonly limits: LimitOptions | undefined;
  /** The limits of a configuration; undefined where options of the command have the say. */
  readonly limitsOf: (loaded: Loaded) => Promise<LimitOptions | undefined>;
}

export async function launchMcp(options: McpLaunchOptions): Promise<number> {
  const { runMcp } = await import('../mcp/run.js');
  const { LiveConfig } = await import('../mcp/live-config.js');
  const { loaded, limitsOf } = options;
  const live = new LiveConfig({ env: process.env, cwd: workingFolder(), loaded, limitsOf });
  return await runMcp({ ...options, live, env: withoutToken(process.env) });
}

export async function launchExec(options: LaunchOptions): Promise<number> {
  const { runExec } = await import('../exec/run.js');
  return await runExec({ ...options, env: withoutToken(process.env) });
}
