import type { Environment } from './environment.js';
import { isThere, projectFile, userFile } from './files.js';
import { variablePrefix } from './names.js';

/** Whether there is any source of configuration, by a look that costs next to nothing. */
export function isConfigured(env: Environment, cwd: string): boolean {
  for (const name of Object.keys(env)) if (name.startsWith(variablePrefix)) return true;
  return isThere(userFile(env)) || projectFile(cwd) !== undefined;
}
