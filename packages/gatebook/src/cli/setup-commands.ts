import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type ClientName, clientNames } from '../setup/clients.js';
import { usageError } from './failure.js';
import { type KeySourceFlags, keySourceOf, keySourceOptions } from './key-source.js';
import { nonEmpty } from './option-values.js';
import type { Outcome } from './outcome.js';
import { namedPlaces, placesOf, withPlaces } from './place-options.js';
import { given } from './places.js';

/** Which client's file is meant, as the command line says it. */
export interface ClientFlags {
  readonly client?: ClientName;
  readonly file?: string;
  readonly dryRun?: boolean;
}

interface InitFlags extends KeySourceFlags, ClientFlags {
  readonly after?: string;
  readonly project?: boolean;
}

export function addSetUp(program: Command, outcome: Outcome): void {
  addInit(program, outcome);
  withPlaces(program.command('doctor'))
    .description('say what is well, what is wrong and what is not enforced here, and what to do')
    .option('--json', 'print one JSON object')
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const { doctor } = await import('./doctor.js');
      outcome.exitCode = await doctor(command, flags.json ?? false);
    });
  withClient(withPlaces(program.command('uninstall')))
    .description('take gatebook out of the configuration of MCP clients; log and keys stay')
    .action(async (flags: ClientFlags, command: Command) => {
      const { uninstall } = await import('./uninstall.js');
      outcome.exitCode = await uninstall(checked(flags), () => placesOf(command));
    });
}

function addInit(program: Command, outcome: Outcome): void {
  const command = withPlaces(program.command('init'))
    .description(
      'make the folders and keys of a log, or say what is already there; put an MCP client’s servers behind the gate',
    )
    .option(
      '--after <dir>',
      'name the log there, whose signing key is lost, as the one before',
      nonEmpty,
    )
    .option('--project', 'make the commented gatebook.toml here, not the user’s config.toml');
  for (const option of keySourceOptions()) command.addOption(option);
  withClient(command).action(async (flags: InitFlags) => {
    const { after, project = false } = flags;
    const { setUp } = await import('./set-up.js');
    const keys = { after, ...keySourceOf(flags) };
    outcome.exitCode = await setUp({
      places: await placesOf(command),
      socket: servedSocket(command, flags),
      keys,
      config: project ? 'project' : elsewhere(command) ? 'none' : 'user',
      ...checked(flags),
    });
  });
}

/** The log that a client's gates would append to from this shell, where another process writes it. */
function servedSocket(command: Command, { client, ...flags }: InitFlags): string | undefined {
  const { log, keys } = namedPlaces(command);
  const own = [log, keys, flags.after, flags.signingKey, flags.passphrase];
  if (client === undefined || own.some((value) => value !== undefined)) return undefined;
  return given(process.env['GATEBOOK_SOCKET']);
}

/** Both folders named: that is a log beside the one that the user's configuration is about. */
function elsewhere(command: Command): boolean {
  const { log, keys } = namedPlaces(command);
  const { GATEBOOK_LOG, GATEBOOK_KEYS } = process.env;
  return (log ?? given(GATEBOOK_LOG)) !== undefined && (keys ?? given(GATEBOOK_KEYS)) !== undefined;
}

function withClient(command: Command): Command {
  return command
    .addOption(new Option('--client <name>', 'an MCP client').choices([...clientNames]))
    .option('--file <path>', 'its configuration file, where that is not the user’s own', nonEmpty)
    .option('--dry-run', 'say what would be done, as a diff, and write nothing');
}

function checked({ client, file, dryRun = false }: ClientFlags): {
  readonly client: ClientName | undefined;
  readonly file: string | undefined;
  readonly dryRun: boolean;
} {
  if (file !== undefined && client === undefined) {
    throw usageError(`--file goes with --client (${clientNames.join(', ')}), whose file it is`);
  }
  return { client, file: file === undefined ? undefined : resolve(file), dryRun };
}
