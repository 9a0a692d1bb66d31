import type { AuditEvent } from '@gatebook/audit';
import type { Loaded } from '../config/load.js';
import { isConfigured } from '../config/sources.js';
import type { Environment } from './places.js';
import { say } from './talk.js';

/**
 * The configuration that holds here; undefined where nothing is configured, so that such a start is spared what reading it takes.
 *
 * @throws ConfigError with all that is wrong
 */
export async function configOf(env: Environment = process.env): Promise<Loaded | undefined> {
  const cwd = workingFolder();
  if (!isConfigured(env, cwd)) return undefined;
  const { loadConfig } = await import('../config/load.js');
  const loaded = loadConfig({ env, cwd });
  if (loaded.untrusted !== undefined) {
    const { untrustedText } = await import('../config/untrusted.js');
    sayOnce(untrustedText(loaded.untrusted));
  }
  return loaded;
}

/** The record of what a project file is not trusted with; undefined where there is nothing of that kind. */
export async function untrustedEventOf(loaded?: Loaded): Promise<AuditEvent | undefined> {
  if (loaded?.untrusted === undefined) return undefined;
  const { untrustedEvent } = await import('../config/untrusted.js');
  return untrustedEvent(loaded.untrusted);
}

/** Where the project's file is looked for. A working directory that is gone has none. */
export function workingFolder(): string {
  try {
    return process.cwd();
  } catch {
    return '/';
  }
}

const said = new Set<string>();

/** A command may read the configuration for several of its parts. */
function sayOnce(text: string): void {
  if (said.has(text)) return;
  said.add(text);
  say(text);
}
