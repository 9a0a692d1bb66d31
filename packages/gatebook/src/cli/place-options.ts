import type { Command } from 'commander';
import type { Loaded } from '../config/load.js';
import { configOf } from './config-choice.js';
import { nonEmpty } from './option-values.js';
import { choosePlaces, type Environment, given, type NamedPlaces, type Places } from './places.js';

/** Every command takes these, and takes them from the commands above it. */
export function withPlaces(command: Command): Command {
  return command
    .option('--log <dir>', 'the log folder', nonEmpty)
    .option('--keys <dir>', 'the keys folder', nonEmpty);
}

/** The value nearest to the command wins: `gatebook --log A audit --log B` reads B. */
export function namedPlaces(command: Command): NamedPlaces {
  let log: string | undefined;
  let keys: string | undefined;
  for (let at: Command | null = command; at !== null; at = at.parent) {
    const flags = at.opts<NamedPlaces>();
    log ??= flags.log;
    keys ??= flags.keys;
  }
  return { log, keys };
}

/** Where both folders are named, the configuration has no say, and a wrong one does no harm. */
export async function placesOf(
  command: Command,
  env: Environment = process.env,
  loaded?: Loaded,
): Promise<Places> {
  const named = namedPlaces(command);
  const log = named.log ?? given(env['GATEBOOK_LOG']);
  const keys = named.keys ?? given(env['GATEBOOK_KEYS']);
  const config =
    log !== undefined && keys !== undefined ? undefined : (loaded ?? (await configOf(env)));
  const { logPath, keysPath } = config?.config.security.audit ?? {};
  return choosePlaces(named, env, undefined, { log: logPath, keys: keysPath });
}
