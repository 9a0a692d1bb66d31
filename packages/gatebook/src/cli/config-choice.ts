import type { Loaded } from '../config/load.js';
import { isConfigured } from '../config/sources.js';
import type { Environment } from './places.js';

/**
 * The configuration that holds here; undefined where nothing is configured, so that such a start is spared what reading it takes.
 *
 * @throws ConfigError with all that is wrong
 */
export async function configOf(env: Environment = process.env): Promise<Loaded | undefined> {
  if (!isConfigured(env)) return undefined;
  const { loadConfig } = await import('../config/load.js');
  return loadConfig({ env, cwd: process.cwd() });
}
