import type { Keeping } from '../keeping.js';
import type { Places } from './places.js';

/** What `gatebook mcp` and `gatebook exec` have in common: a command to start, and who it is started for. */
export interface LaunchOptions {
  readonly places: Places;
  readonly command: readonly string[];
  readonly user?: string | undefined;
  readonly channel?: string | undefined;
  readonly agent?: string | undefined;
  readonly onLogFailure: 'refuse' | 'allow';
  readonly keeping: Keeping;
}

function runOptions(options: LaunchOptions): {
  command: string[];
  user?: string;
  channel?: string;
  agent?: string;
  dir: string;
  keysDir: string;
  onLogFailure: 'refuse' | 'allow';
  keeping: Keeping;
} {
  const { places, command, user, channel, agent, onLogFailure, keeping } = options;
  return {
    command: [...command],
    dir: places.dir,
    keysDir: places.keysDir,
    onLogFailure,
    keeping,
    ...(user === undefined ? {} : { user }),
    ...(channel === undefined ? {} : { channel }),
    ...(agent === undefined ? {} : { agent }),
  };
}

export async function launchMcp(options: LaunchOptions): Promise<number> {
  const { runMcp } = await import('../mcp/run.js');
  return await runMcp(runOptions(options));
}

export async function launchExec(options: LaunchOptions): Promise<number> {
  const { runExec } = await import('../exec/run.js');
  return await runExec(runOptions(options));
}
