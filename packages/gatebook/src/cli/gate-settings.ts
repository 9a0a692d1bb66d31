import { dirname } from 'node:path';
import { PolicyError } from '@gatebook/policy';
import { userFile } from '../config/files.js';
import type { Loaded } from '../config/load.js';
import type { RateLimitingConfig } from '../config/schema.js';
import type { RedisPlace } from '../gate/redis-connection.js';
import { type ReadTexts, rulesOf, type Surroundings } from '../gate/rules.js';
import type { GateSettings } from '../gate/settings.js';
import { codeOf, reasonOf, usageError } from './failure.js';
import { type LimitFlags, limitOptionsFrom } from './limit-options.js';
import type { LogChoice } from './log-choice.js';

/**
 * What a gate goes by: the limits of the flags, else those of the configuration, and the configured rules.
 *
 * @throws a usage error that says what is wrong, and where
 */
export async function settingsOf(
  flags: LimitFlags,
  loaded: Loaded | undefined,
  log: LogChoice,
  workspace: string | undefined,
): Promise<GateSettings> {
  const security = loaded?.config.security;
  const options = await limitOptionsFrom(flags, security?.rateLimiting);
  try {
    const rules = await rulesOf(security, surroundingsOf(log, workspace, loaded), textsOf(loaded));
    const limits = options?.limits ?? [];
    const redis = limits.length === 0 ? undefined : redisOf(security?.rateLimiting);
    return { limits, redis, rules: { ...rules, waitMs: options?.waitMs } };
  } catch (error) {
    if (error instanceof PolicyError) throw usageError(placed(error.message, loaded), error);
    if (codeOf(error) === undefined) throw error;
    throw usageError(placed(`files: ${reasonOf(error)}`, loaded), error);
  }
}

/** Where the limits are counted, if not by the gates over one log. */
export function redisOf(config: RateLimitingConfig | undefined): RedisPlace | undefined {
  if (config?.enabled !== true || config.redisUrl === undefined) return undefined;
  const { redisUrl: url, redisPrefix: prefix, onStoreFailure, expectedProcesses } = config;
  return { url, prefix, onStoreFailure, expectedProcesses };
}

/** Where the agent works, and what of the gate it must leave alone. */
function surroundingsOf(
  log: LogChoice,
  workspace: string | undefined,
  loaded: Loaded | undefined,
): Surroundings {
  const own = 'socket' in log ? [log.socket] : [log.dir, log.keysDir];
  const gateFiles = [...own, dirname(userFile(process.env))];
  const named = loaded?.files.map(({ path }) => path) ?? [];
  return { workspace, gateFiles, settingsFiles: [...(loaded?.projectFiles ?? []), ...named] };
}

/** What was looked at when it was asked whether it is trusted is what counts: a file may be another one by now. */
function textsOf(loaded: Loaded | undefined): ReadTexts {
  const read = loaded?.files ?? [];
  return new Map(
    read.flatMap(({ path, bytes }) =>
      bytes === undefined ? [] : [[path, bytes.toString('utf8')]],
    ),
  );
}

/** Before a fault of the policy, the place of the key that it names first. */
function placed(message: string, loaded: Loaded | undefined): string {
  const [word = ''] = /^[a-zA-Z]+/.exec(message) ?? [];
  const name = `security.policy.${word.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
  const setting = loaded?.settings.find(({ key }) => key.name === name);
  if (setting?.source === undefined) return `security.policy: ${message}`;
  const { source, place } = setting;
  const at = place === undefined ? '' : `:${place.line}:${place.column}`;
  return `${source}${at}: ${name.slice(0, -word.length)}${message}`;
}
