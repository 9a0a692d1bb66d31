import { type AuditLogOptions, readTokenOf, type ServedLogOptions } from '@gatebook/audit';
import type { Command } from 'commander';
import type { Loaded } from '../config/load.js';
import { configOf } from './config-choice.js';
import { requireSigningKey } from './configured-key.js';
import { usageError } from './failure.js';
import { type KeepingFlags, keepingFrom } from './keeping-options.js';
import { namedPlaces, placesOf } from './place-options.js';
import { type Environment, given } from './places.js';

/** The log that a command appends to: one of this user's own, or one that `gatebook serve` writes. */
export type LogChoice = AuditLogOptions | ServedLogOptions;

interface LogFlags extends KeepingFlags {
  readonly socket?: string;
  readonly tokenFile?: string;
}

/** Options outrank the environment: a log named by --log is opened even where GATEBOOK_SOCKET is set. */
export async function logChoiceOf(
  command: Command,
  configured?: Loaded,
  env: Environment = process.env,
): Promise<LogChoice> {
  const flags = command.opts<LogFlags>();
  const { socket, tokenFile } = flags;
  const { log, keys } = namedPlaces(command);
  const named = log !== undefined || keys !== undefined;
  if (socket !== undefined && named) throw usageError('--socket does not go with --log or --keys');
  const chosen = socket ?? (named ? undefined : given(env['GATEBOOK_SOCKET']));
  if (chosen === undefined) {
    if (tokenFile !== undefined) throw usageError('--token-file goes with --socket only');
    const loaded = configured ?? (await configOf(env));
    const places = await placesOf(command, env, loaded);
    requireSigningKey(places, loaded);
    return { ...places, ...(await keepingFrom(flags, loaded?.config.security.audit)) };
  }
  if (Object.values(await keepingFrom(flags)).some((value) => value !== undefined)) {
    throw usageError(
      'how the log is kept and who holds evidence of it is for gatebook serve to say: leave --max-size-mb, --rotate, --content and the options of retention, witnesses and anchors out',
    );
  }
  return { socket: chosen, token: tokenOf(tokenFile, env) };
}

function tokenOf(file: string | undefined, env: Environment): string | undefined {
  if (file !== undefined) return readTokenOf(file);
  const token = given(env['GATEBOOK_TOKEN']);
  if (token !== undefined) return token;
  const fromFile = given(env['GATEBOOK_TOKEN_FILE']);
  return fromFile === undefined ? undefined : readTokenOf(fromFile);
}

/** What a started command gets: our environment without the token, which would let it append in our name. */
export function withoutToken(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { GATEBOOK_TOKEN: _token, GATEBOOK_TOKEN_FILE: _file, ...rest } = env;
  return rest;
}
