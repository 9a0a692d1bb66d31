import type { AuditEvent } from '@gatebook/audit';
import type { Loaded } from '../config/load.js';
import type { GateSettings } from '../gate/settings.js';
import type { OnToolChange } from '../mcp/tool-pins.js';
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
  readonly session?: string | undefined;
  readonly settings: GateSettings;
}

export interface McpLaunchOptions extends LaunchOptions {
  readonly loaded: Loaded | undefined;
  readonly serverName?: string | undefined;
  readonly elicitation?: boolean | undefined;
  readonly onToolChange?: OnToolChange | undefined;
  /** What the gate goes by under another configuration. */
  readonly settingsOf: (loaded: Loaded) => Promise<GateSettings>;
}

export async function launchMcp(options: McpLaunchOptions): Promise<number> {
  const { runMcp } = await import('../mcp/run.js');
  const { LiveConfig } = await import('../mcp/live-config.js');
  const { loaded, settingsOf } = options;
  const live = new LiveConfig({ env: process.env, cwd: workingFolder(), loaded, settingsOf });
  return await runMcp({ ...options, live, env: withoutToken(process.env) });
}

export async function launchExec(options: LaunchOptions): Promise<number> {
  const { runExec } = await import('../exec/run.js');
  return await runExec({ ...options, env: withoutToken(process.env) });
}
