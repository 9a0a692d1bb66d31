import { dirname } from 'node:path';
import { camelValue } from './camel.js';
import { ConfigError, type Fault, type Place } from './fault.js';
import { readConfigFile, requireOwn, userFile } from './files.js';
import { type Key, keys } from './keys.js';
import {
  type Environment,
  type Given,
  type Reading,
  readConfigText,
  readEnvironment,
} from './reading.js';
import { crossFaults } from './rules.js';
import { type Config, schema } from './schema.js';

export type Origin = 'default' | 'user' | 'environment';

/** What holds for one key, and who says so. */
export interface Setting {
  readonly key: Key;
  /** Undefined where nothing is set and the schema has no default. */
  readonly value: unknown;
  readonly origin: Origin;
  /** A file's path or a variable's name; absent for a default. */
  readonly source?: string | undefined;
  readonly place?: Place | undefined;
}

export interface Loaded {
  readonly config: Config;
  /** One for each key, in the order of the schema. */
  readonly settings: readonly Setting[];
}

export interface LoadOptions {
  readonly env: Environment;
  /** Where relative paths in the environment begin. */
  readonly cwd: string;
}

/**
 * The configuration that holds: environment over user file over defaults.
 *
 * @throws ConfigError with every fault of every source
 */
export function loadConfig({ env, cwd }: LoadOptions): Loaded {
  const user = readFileOf(userFile(env));
  const environment = readEnvironment(env, cwd);
  const faults = [...user.faults, ...environment.faults, ...doubled(env, environment.given)];
  if (faults.length > 0) throw new ConfigError(faults);
  return settle([
    ['user', user.given],
    ['environment', environment.given],
  ]);
}

/**
 * A file alone, over the defaults.
 *
 * @throws ConfigError
 */
export function checkConfigFile(file: string): Loaded | undefined {
  const bytes = readConfigFile(file);
  if (bytes === undefined) return undefined;
  const { given, faults } = readConfigText(file, bytes, dirname(file));
  if (faults.length > 0) throw new ConfigError(faults);
  return settle([['user', given]]);
}

/** The two folders have had variables of their own for longer. */
const otherVariables: ReadonlyMap<string, string> = new Map([
  ['security.audit.log_path', 'GATEBOOK_LOG'],
  ['security.audit.keys_path', 'GATEBOOK_KEYS'],
]);

function doubled(env: Environment, given: readonly Given[]): Fault[] {
  return given.flatMap(({ key, source }) => {
    const other = otherVariables.get(key.name);
    if (other === undefined || (env[other] ?? '') === '') return [];
    return [{ source, message: `${other} is set too, and says the same thing; unset one of them` }];
  });
}

const nothing: Reading = { given: [], faults: [] };

function readFileOf(file: string): Reading {
  const bytes = readConfigFile(file);
  if (bytes === undefined) return nothing;
  requireOwn(file);
  return readConfigText(file, bytes, dirname(file));
}

/** The last layer that says something of a key counts. */
function settle(layers: readonly (readonly [Origin, readonly Given[]])[]): Loaded {
  const held = new Map<Key, Setting>();
  for (const [origin, given] of layers) {
    for (const { key, value, source, place } of given) {
      held.set(key, { key, value, origin, source, place });
    }
  }
  const settings = keys.map(
    (key): Setting => held.get(key) ?? { key, value: key.usual, origin: 'default' },
  );
  const faults: Fault[] = crossFaults(settings);
  if (faults.length > 0) throw new ConfigError(faults);
  const checked = schema.parse(nested(settings));
  return { config: camelValue(schema, checked) as Config, settings };
}

function nested(settings: readonly Setting[]): object {
  const root: Record<string, unknown> = {};
  for (const { key, value } of settings) {
    if (value === undefined) continue;
    let at = root;
    const steps = [...key.steps];
    const last = steps.pop()!;
    for (const step of steps) {
      at[step] ??= {};
      at = at[step] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return root;
}
