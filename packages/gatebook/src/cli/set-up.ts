import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { userFile } from '../config/files.js';
import { defaultConfig, loadConfig } from '../config/load.js';
import type { ClientName } from '../setup/clients.js';
import { isTaken, makeConfigFile } from '../setup/config-file.js';
import { ownLauncher } from '../setup/launcher.js';
import { planWiring } from '../setup/plan.js';
import { type Change, changeOf, clientOf, fileOf, finish } from './client-change.js';
import { workingFolder } from './config-choice.js';
import { writeStdout } from './destination.js';
import { CliError, usageError } from './failure.js';
import { type Choices, describeLog, init } from './init.js';
import { requireUngatedHere } from './operator.js';
import { choosePlaces, type Environment, given, type Places } from './places.js';
import { say } from './talk.js';
import { visible } from './visible.js';

export interface SetUp {
  readonly places: Places;
  /** Of a log that `gatebook serve` writes; then none is made here. */
  readonly socket: string | undefined;
  readonly keys: Choices;
  /** Which configuration file is made, if it is not there. */
  readonly config: 'user' | 'project' | 'none';
  readonly client: ClientName | undefined;
  /** Of the client; undefined: the user's own. */
  readonly file: string | undefined;
  readonly dryRun: boolean;
}

/**
 * `gatebook init`: log and keys, a configuration file to edit, and a client's servers behind the gate; what is there already stays
 * as it is. The client's file comes first: where it is wrong, nothing is made.
 */
export async function setUp(options: SetUp): Promise<number> {
  const { places, socket, keys, dryRun } = options;
  if (!dryRun) await requireUngatedHere(places, 'gatebook init');
  const wiring = wiringOf(options);
  let code = 0;
  if (socket !== undefined) await writeStdout(`log         behind ${visible(socket)}\n`);
  else code = dryRun ? await describeLog(places) : await init(places, keys);
  await configFile(options);
  if (wiring === undefined) return code;
  return Math.max(code, await finish(wiring, dryRun));
}

async function configFile({ config, dryRun }: SetUp): Promise<void> {
  if (config === 'none') return;
  const file = config === 'user' ? userFile(process.env) : join(workingFolder(), 'gatebook.toml');
  const made = dryRun ? !isTaken(file) : makeConfigFile(file, config === 'user' ? 0o600 : 0o644);
  const state = made ? (dryRun ? 'would be made' : 'made') : 'already there, not touched';
  await writeStdout(`config      ${visible(file)} (${state})\n`);
}

function wiringOf(options: SetUp): Change | undefined {
  const { client, file, dryRun } = options;
  if (client === undefined) return undefined;
  const known = clientOf(client);
  const read = fileOf(known, file);
  const plan = planWiring(read, known, ownLauncher(optionsOf(options)));
  if (plan.fates.length === 0) {
    const tables = known.tables.map((steps) => steps.join('.')).join(' or ');
    throw new CliError(
      1,
      `${read.name} has no server in it (looked for in ${tables}); add one in ${known.title}, and run this again`,
    );
  }
  const { projectFile } = known;
  if (file === undefined && projectFile !== undefined && existsSync(projectFile) && !dryRun) {
    say(
      `${projectFile} of this project is not looked at, for others may share it, and paths of this machine would stand in it; where that is no harm: --file ${projectFile}`,
    );
  }
  return changeOf(known, read, plan, 'backup');
}

/** What a gate would not find by itself: a client from a desktop has none of the shell's variables. */
function optionsOf({ places, socket }: SetUp): string[] {
  if (socket !== undefined) return ['--socket', socket, ...tokenOptions(process.env)];
  const usual = usualPlaces();
  return [
    ...(usual.dir === places.dir ? [] : ['--log', places.dir]),
    ...(usual.keysDir === places.keysDir ? [] : ['--keys', places.keysDir]),
  ];
}

function tokenOptions(env: Environment): string[] {
  if (given(env['GATEBOOK_TOKEN']) !== undefined) {
    throw usageError(
      'the token in GATEBOOK_TOKEN would have to stand in the client’s file: put it into a file of its own (mode 0600), and set GATEBOOK_TOKEN_FILE instead',
    );
  }
  const file = given(env['GATEBOOK_TOKEN_FILE']);
  return file === undefined ? [] : ['--token-file', resolve(file)];
}

function usualPlaces(): Places {
  let loaded = defaultConfig();
  try {
    loaded = loadConfig({ env: {}, cwd: '/' });
  } catch {
    // What is wrong there is for commands to say that go by it; both folders are named then.
  }
  const { logPath, keysPath } = loaded.config.security.audit;
  return choosePlaces({}, {}, undefined, { log: logPath, keys: keysPath });
}
