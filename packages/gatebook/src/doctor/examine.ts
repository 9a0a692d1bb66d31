import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { reasonOf } from '../cli/failure.js';
import type { Places } from '../cli/places.js';
import type { Loaded } from '../config/load.js';
import type { Check } from './check.js';
import { fail, warn } from './check.js';
import { checkClients } from './clients.js';
import { checkEnforcement, checkFaults, checkSources } from './configuration.js';
import { checkForwardSecurity, checkKeys, readKeysFolder } from './keys-folder.js';
import { checkLog, lookAtLog } from './log-folder.js';
import { checkNode, checkSpace } from './machine.js';
import { checkOutside } from './outside.js';
import { checkPseudonyms } from './pseudonyms.js';
import { checkSeparation, checkSocket } from './separation.js';
import { checkVerification } from './verification.js';

export interface Patient {
  readonly places: Places;
  /** Where another process writes the log, which is then not looked at. */
  readonly socket: string | undefined;
  /** What holds here, or every line of what is wrong with it. */
  readonly config: Loaded | { readonly faults: readonly string[] };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/**
 * Looks at everything that keeps the gate from doing what it promises. Reads only: it takes no lock, makes no connection and writes
 * nothing. It ends in bounded time, whatever it meets.
 */
export async function examine(patient: Patient): Promise<Check[]> {
  const { places, socket, config, env, cwd } = patient;
  const loaded = 'faults' in config ? undefined : config;
  const own = socket === undefined;
  const looks: readonly Look[] = [
    ['node', () => [checkNode(process.versions.node)]],
    [
      'config',
      () => ('faults' in config ? checkFaults(config.faults) : checkSources(config, env, cwd)),
    ],
    ['log', () => (own ? checkBook(places, loaded, env) : checkSocket(socket))],
    ['enforced', () => (loaded === undefined ? [unknown] : checkEnforcement(loaded))],
    ['separation', () => (own ? [checkSeparation(places)] : [])],
    ['client', () => checkClients({ platform: process.platform, home: homedir(), env })],
  ];
  const checks: Check[] = [];
  for (const look of looks) checks.push(...(await looked(look)));
  return checks;
}

type Look = readonly [id: string, look: () => readonly Check[] | Promise<readonly Check[]>];

/** What cannot be looked at keeps nobody from looking at the rest. */
async function looked([id, look]: Look): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    const todo = 'run this as the user whose log it is';
    return [fail(id, `it cannot be looked at: ${reasonOf(error)}`, todo)];
  }
}

const unknown = warn('enforced', 'what is enforced is not known while the configuration is wrong');

async function checkBook(
  places: Places,
  loaded: Loaded | undefined,
  env: NodeJS.ProcessEnv,
): Promise<Check[]> {
  const { dir, keysDir } = places;
  const keys = readKeysFolder(keysDir);
  const log = lookAtLog(dir, keys.publicKey);
  if (log === undefined) return [noLog(places, keys.origin)];
  const mismatch =
    keys.origin === undefined || log.origin === undefined || keys.origin === log.origin
      ? []
      : [
          fail(
            'keys.origin',
            `${keysDir} has the keys of ${keys.origin}, and ${dir} is the log ${log.origin}`,
            'name folders that belong together (--log, --keys)',
          ),
        ];
  return [
    ...checkKeys(keysDir, env),
    ...mismatch,
    ...checkForwardSecurity(keysDir),
    ...checkLog(dir, log),
    await checkVerification(places, log),
    checkSpace(dir),
    ...checkOutside(dir, log, loaded?.config.security.audit, Date.now()),
    ...checkPseudonyms(places, { log: log.origin, keys: keys.origin }),
  ];
}

function noLog({ dir, keysDir }: Places, origin: string | undefined): Check {
  if (origin !== undefined) {
    const todo =
      'restore it, or name the right folder (--log); keys without their log prove nothing';
    return fail('log', `${keysDir} has the keys of ${origin}, and ${dir} holds no log`, todo);
  }
  const what = existsSync(dir) ? `${dir} holds no log` : `there is no log at ${dir} yet`;
  return warn('log', what, 'gatebook init makes it, and so does the first gate that starts');
}
