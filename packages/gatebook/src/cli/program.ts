import { Command, Option } from 'commander';
import type { Loaded } from '../config/load.js';
import type { GateSettings } from '../gate/settings.js';
import { addAuditCommands } from './audit-commands.js';
import { addConfig } from './config-commands.js';
import { usageError } from './failure.js';
import { addApprove } from './gate-commands.js';
import { type KeepingFlags, withKeeping } from './keeping-options.js';
import { addKeysCommands } from './keys-commands.js';
import { addLimits, type LimitFlags, withLimits } from './limit-options.js';
import { collect, hostAndPort, nonEmpty } from './option-values.js';
import type { Outcome } from './outcome.js';
import { placesOf, withPlaces } from './place-options.js';
import { addPolicy } from './policy-commands.js';
import type { ServeFlags } from './serve.js';
import { addSetUp } from './setup-commands.js';
import { withSocket } from './socket-options.js';

export interface ProgramOptions {
  readonly version: string;
  readonly outcome: Outcome;
}

const summary = `The gate between an AI agent and its tools, and the book in which all that passes is written.

The log lies in --log, else GATEBOOK_LOG, else $XDG_STATE_HOME/gatebook/log (~/.local/state/gatebook/log);
its keys in --keys, else GATEBOOK_KEYS, else $XDG_CONFIG_HOME/gatebook/keys (~/.config/gatebook/keys).

Exit codes: 0 done, 1 failed or found bad, 2 wrong usage, 3 cannot be verified.`;

/** The whole command line. Each action loads its own code, so that start-up stays quick. */
export function buildProgram(options: ProgramOptions): Command {
  const { outcome } = options;
  const program = withPlaces(new Command('gatebook'))
    .description(summary)
    .version(options.version, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .enablePositionalOptions()
    .configureHelp({ helpWidth: 100 });
  addSetUp(program, outcome);
  addLaunchCommands(program, options);
  withKeeping(withSocket(withPlaces(program.command('record'))))
    .description('record JSON lines from stdin; one acknowledgement a line on stdout')
    .action(async (_flags: object, command: Command) => {
      const { record } = await import('./intake.js');
      const { configOf, untrustedEventOf } = await import('./config-choice.js');
      const { logChoiceOf } = await import('./log-choice.js');
      const loaded = await configOf();
      const choice = await logChoiceOf(command, loaded);
      const first = await untrustedEventOf(loaded);
      outcome.exitCode = await record(choice, loaded?.config.security.audit, first);
    });
  addServeCommands(program, outcome);
  addWitness(program, outcome);
  addKeysCommands(program, outcome);
  addAuditCommands(program, outcome);
  addLimits(program, outcome);
  addApprove(program, outcome);
  addPolicy(program, outcome);
  addConfig(program, outcome);
  return program;
}

function addServeCommands(program: Command, outcome: Outcome): void {
  withKeeping(withPlaces(program.command('serve')))
    .description('write the log for other processes until SIGTERM or SIGINT')
    .option(
      '--socket <path>',
      'where others reach it (default: where this user’s find it)',
      nonEmpty,
    )
    .option(
      '--group <group>',
      'a group, by name or id, whose members may append at --socket',
      nonEmpty,
    )
    .option(
      '--token-file <file>',
      'who may append, and as which emitter; see gatebook token',
      nonEmpty,
    )
    .addOption(
      new Option(
        '--http <host:port>',
        'offer the log for reading too, as gatebook audit serve does',
      ).argParser(hostAndPort),
    )
    .option('--prefix <secret>', 'answer only below this first part of the path', nonEmpty)
    .option('--json', 'print log, socket and public key as one JSON object')
    .action(async (flags: ServeFlags, command: Command) => {
      const { serve } = await import('./serve.js');
      const { configOf } = await import('./config-choice.js');
      const loaded = await configOf();
      const places = await placesOf(command, process.env, loaded);
      outcome.exitCode = await serve(places, flags, loaded);
    });
  program
    .command('token')
    .description('make a token with which an emitter may append through gatebook serve')
    .argument('<emitter>', 'what its records will have as emitter')
    .requiredOption('--token-file <file>', 'where gatebook serve knows it from', nonEmpty)
    .action(async (emitter: string, flags: { readonly tokenFile: string }) => {
      const { token } = await import('./token.js');
      outcome.exitCode = await token(emitter, flags.tokenFile);
    });
}

interface WitnessFlags {
  readonly state: string;
  readonly name?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly logKey: readonly string[];
}

function addWitness(program: Command, outcome: Outcome): void {
  program
    .command('witness')
    .description("cosign the checkpoints of other hosts' logs, so that none can be taken back")
    .requiredOption('--state <dir>', 'its key and what it has cosigned', nonEmpty)
    .requiredOption(
      '--log-key <file|key>',
      'the public key of a log that it serves; may be repeated',
      collect,
    )
    .option('--name <name>', 'its name, a URL without the scheme; needed the first time', nonEmpty)
    .addOption(
      new Option('--listen <host:port>', 'where it answers')
        .argParser(hostAndPort)
        .default({ host: '127.0.0.1', port: 8910 }, '127.0.0.1:8910'),
    )
    .action(async (flags: WitnessFlags) => {
      const { runWitness } = await import('./witness.js');
      const { state, name, listen, logKey } = flags;
      outcome.exitCode = await runWitness({ state, name, listen, logKeys: logKey });
    });
}

interface LaunchFlags extends KeepingFlags {
  readonly user?: string;
  readonly channel?: string;
  readonly agent?: string;
  readonly session?: string;
  readonly server?: string;
  readonly onLogFailure?: 'refuse' | 'allow';
}

/** An agent's calls, as they pass. */
type McpFlags = LaunchFlags & LimitFlags;

function addLaunchCommands(program: Command, options: ProgramOptions): void {
  const kinds = [
    ['mcp', 'start an MCP server and record every call on its way through'],
    ['exec', 'run a command and record it before it starts and when it ends'],
  ] as const;
  for (const [kind, description] of kinds) {
    const command = withKeeping(withSocket(withPlaces(program.command(kind))));
    withLimits(command, { wait: true });
    if (kind === 'mcp') {
      command.option(
        '--server <name>',
        'what policies call the server (default: the name it gives itself)',
        nonEmpty,
      );
    }
    command
      .usage('[options] -- COMMAND [ARGUMENT...]')
      .description(description)
      .argument('[command...]', 'what to start; its own options are not looked at')
      // From the command's first word on nothing is ours, also where a launcher in front of us has eaten the "--".
      .passThroughOptions()
      .option('--user <id>', 'who the calls are made for', nonEmpty)
      .option('--channel <name>', 'where they come from: a chat, an editor, …', nonEmpty)
      .option('--agent <name>', 'which agent makes them', nonEmpty)
      .option(
        '--session <id>',
        'what they are part of (default: all that the same client starts)',
        nonEmpty,
      )
      .addOption(
        new Option(
          '--on-log-failure <what>',
          'what becomes of a call that cannot be recorded (default: refuse)',
        ).choices(['refuse', 'allow']),
      )
      .action(async (words: readonly string[], flags: McpFlags, command: Command) => {
        if (words.length === 0) {
          throw usageError(
            `there is no command to start: gatebook ${kind} [options] -- COMMAND [ARGUMENT...]`,
          );
        }
        const { launchExec, launchMcp } = await import('./launch.js');
        const { settingsOf } = await import('./gate-settings.js');
        const { logChoiceOf } = await import('./log-choice.js');
        const { user, channel, agent, session } = flags;
        const { configOf, untrustedEventOf, workingFolder } = await import('./config-choice.js');
        const loaded = await configOf();
        const audit = loaded?.config.security.audit;
        const log = await logChoiceOf(command, loaded);
        // Where a client starts its servers says nothing of where the agent works.
        const workspace = kind === 'exec' ? workingFolder() : undefined;
        const launch = {
          ...{ user, channel, agent, session },
          onLogFailure: flags.onLogFailure ?? audit?.onLogFailure ?? 'refuse',
          recording: audit === undefined ? undefined : () => audit,
          first: await untrustedEventOf(loaded),
          log,
          settings: await settingsOf(flags, loaded, log, workspace),
          command: words,
        };
        if (kind === 'exec') {
          options.outcome.exitCode = await launchExec(launch);
          return;
        }
        const nextSettings = (next: Loaded): Promise<GateSettings> =>
          settingsOf(flags, next, log, workspace);
        options.outcome.exitCode = await launchMcp({
          ...launch,
          serverName: flags.server,
          elicitation: loaded?.config.security.approval.elicitation,
          onToolChange: loaded?.config.security.policy.onToolChange,
          loaded,
          settingsOf: nextSettings,
        });
      });
  }
}
