import * as fs from 'node:fs';
import { userFile } from './files.js';
import { variablePrefix } from './names.js';
import type { Environment } from './reading.js';

/** Whether there is any source of configuration, by a look that costs next to nothing. */
export function isConfigured(env: Environment): boolean {
  for (const name of Object.keys(env)) if (name.startsWith(variablePrefix)) return true;
  return isThere(userFile(env));
}

/** A file that cannot be looked at counts as there: reading it will say what is wrong. */
function isThere(file: string): boolean {
  try {
    return fs.statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}
