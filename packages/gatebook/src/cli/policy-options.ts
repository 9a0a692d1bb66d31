import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename } from 'node:path';
import { createPolicy, type Policy, PolicyError, type Risk } from '@gatebook/policy';

import { codeOf, reasonOf, usageError } from './failure.js';

import type { Places } from './places.js';

export interface PolicyFlags {
  readonly policy?: readonly string[];
  readonly deny?: readonly string[];
  readonly ask?: readonly string[];
  readonly allow?: readonly string[];
  readonly askAt?: Risk;
  readonly denyAt?: Risk;
}

/**
 * The policy of the flags, with the log and the keys as files of the gate itself.
 *
 * @throws a usage error that says what is wrong, and where
 */
export async function policyOf(flags: PolicyFlags, places: Places): Promise<Policy> {
  const { deny, ask, allow, askAt, denyAt } = flags;
  const files = await Promise.all((flags.policy ?? []).map(readPolicyFile));
  const workspace = process.cwd();
  const gateFiles = [places.dir, places.keysDir];
  const around = { home: homedir(), workspace, gateFiles };
  try {
    return await createPolicy({ deny, ask, allow, askAt, denyAt, files, ...around });
  } catch (error) {
    if (error instanceof PolicyError) throw usageError(error.message, error);
    throw error;
  }
}

async function readPolicyFile(path: string): Promise<{ name: string; text: string }> {
  try {
    return { name: basename(path), text: await readFile(path, 'utf8') };
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    throw usageError(`${path}: ${reasonOf(error)}`, error);
  }
}
