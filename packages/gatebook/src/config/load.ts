import { dirname } from 'node:path';
import { camelValue } from './camel.js';
import { type Environment, readEnvironment } from './environment.js';
import { ConfigError, type Fault, type Place } from './fault.js';
import { projectFile, readConfigFile, requireOwn, userFile } from './files.js';
import { type Key, keys } from './keys.js';
import { type NamedFile, type NamedReader, namedReader } from './named-files.js';
import { type Given, type Reading, readConfigText } from './reading.js';
import { crossFaults } from './rules.js';
import { type Config, schema } from './schema.js';
import { sha256 } from './sha256.js';
import { type Trust, trustIn } from './trust.js';

export type Origin = 'default' | 'user' | 'project' | 'environment';

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
  /** What the keys in force name that decides with them, as it was read. */
  readonly files: readonly NamedFile[];
  /** The project's file and all that it names, trusted or not. */
  readonly projectFiles: readonly string[];
  /** What a project file says that it has not been trusted with. */
  readonly untrusted?: Untrusted | undefined;
}

export interface Untrusted {
  readonly file: string;
  readonly sha256: string;
  readonly given: readonly Given[];
  /** The file itself is as it was trusted; these, which it names, are not. */
  readonly changed: readonly string[];
}

export interface LoadOptions {
  readonly env: Environment;
  /** Where the project's file is looked for, and relative paths in the environment begin. */
  readonly cwd: string;
}

/**
 * The configuration that holds: environment over project file over user file over defaults.
 *
 * @throws ConfigError with every fault of every source
 */
export function loadConfig({ env, cwd }: LoadOptions): Loaded {
  const user = readFileOf(userFile(env));
  const reader = namedReader();
  const project = readProject(cwd, env, reader);
  const environment = readEnvironment(env, cwd);
  const faults = [
    ...user.faults,
    ...project.faults,
    ...environment.faults,
    ...doubled(env, environment.given),
  ];
  if (faults.length > 0) throw new ConfigError(faults);
  const below = heldBy([['user', user.given]]);
  const weakening = project.trusted ? [] : project.given.filter((each) => weakens(each, below));
  const settled = settle(
    [
      ['user', user.given],
      ['project', project.given.filter((each) => !weakening.includes(each))],
      ['environment', environment.given],
    ],
    reader,
  );
  const { file, sha256, changed, named } = project;
  const loaded = { ...settled, projectFiles: file === '' ? [] : [file, ...named] };
  if (weakening.length === 0) return loaded;
  return { ...loaded, untrusted: { file, sha256, given: weakening, changed } };
}

/** Whether a value needs trust where these hold without it. */
export function weakens({ key, value }: Given, below: ReadonlyMap<Key, Setting>): boolean {
  const held = below.get(key)?.value ?? key.usual;
  return key.weakens?.test(value, held) ?? false;
}

export interface Trustable {
  readonly bytes: Buffer;
  readonly sha256: string;
  /** What it would be trusted with. */
  readonly weakening: readonly Given[];
  readonly named: readonly NamedFile[];
}

/**
 * A project file as somebody is to trust it; undefined where there is none.
 *
 * @throws ConfigError when it is wrong: nobody should trust what cannot be read
 */
export function readTrustable(file: string, env: Environment): Trustable | undefined {
  const bytes = readConfigFile(file);
  if (bytes === undefined) return undefined;
  const { given, faults } = readConfigText(file, bytes, dirname(file));
  if (faults.length > 0) throw new ConfigError(faults);
  const named = namedReader()(given);
  const unread = named.find((each) => each.bytes === undefined);
  if (unread !== undefined) {
    const message = `it names ${unread.path}, which is not there or cannot be read, so that nobody can trust it`;
    throw new ConfigError([{ source: file, place: { line: 1, column: 1 }, message }]);
  }
  const below = heldBy([['user', readFileOf(userFile(env)).given]]);
  const weakening = given.filter((each) => weakens(each, below));
  return { bytes, sha256: sha256(bytes), weakening, named };
}

interface Project extends Reading, Trust {
  readonly file: string;
  readonly sha256: string;
  readonly named: readonly string[];
}

function readProject(cwd: string, env: Environment, reader: NamedReader): Project {
  const file = projectFile(cwd);
  const bytes = file === undefined ? undefined : readConfigFile(file);
  if (file === undefined || bytes === undefined) {
    return { ...nothing, file: '', sha256: '', trusted: false, changed: [], named: [] };
  }
  const { given, faults } = readConfigText(file, bytes, dirname(file));
  const named = reader(given);
  const trust = trustIn(env, file, bytes, named);
  const paths = named.map(({ path }) => path);
  return { given, faults, file, sha256: sha256(bytes), ...trust, named: paths };
}

/** What holds where nothing is configured. */
export function defaultConfig(): Loaded {
  return settle([]);
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

type Layers = readonly (readonly [Origin, readonly Given[]])[];

function heldBy(layers: Layers): Map<Key, Setting> {
  const held = new Map<Key, Setting>();
  for (const [origin, given] of layers) {
    for (const { key, value, source, place } of given) {
      held.set(key, { key, value, origin, source, place });
    }
  }
  return held;
}

/** The last layer that says something of a key counts. */
function settle(layers: Layers, reader: NamedReader = namedReader()): Loaded {
  const held = heldBy(layers);
  const settings = keys.map(
    (key): Setting => held.get(key) ?? { key, value: key.usual, origin: 'default' },
  );
  const faults: Fault[] = crossFaults(settings);
  if (faults.length > 0) throw new ConfigError(faults);
  const checked = schema.parse(nested(settings));
  const config = camelValue(schema, checked) as Config;
  return { config, settings, files: reader(settings), projectFiles: [] };
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
