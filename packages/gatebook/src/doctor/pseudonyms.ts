import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Places } from '../cli/places.js';
import { type Check, ok, warn } from './check.js';

/** Where users stand in records as pseudonyms, a search by name needs the keys folder of the same log. */
export function checkPseudonyms(
  { dir, keysDir }: Places,
  origins: { readonly log: string | undefined; readonly keys: string | undefined },
): Check[] {
  const id = 'pseudonyms';
  if (!fs.existsSync(join(dir, 'content'))) return [];
  const todo = 'search as the user whose keys they are, with --keys naming their folder';
  const notLookedUp = (why: string): Check[] => [
    warn(id, `users of the log are not found by name where pseudonyms stand: ${why}`, todo),
  ];
  try {
    fs.accessSync(keysDir, fs.constants.R_OK | fs.constants.X_OK);
  } catch {
    return notLookedUp(`${keysDir} cannot be read`);
  }
  if (origins.log !== origins.keys) return notLookedUp(`${keysDir} is of another log`);
  return [ok(id, 'users are found by name, also where pseudonyms stand for them')];
}
