import { type Command, Option } from 'commander';
import type { RateLimitingConfig } from '../config/schema.js';
import type { LimitOptions } from '../gate/limit-options.js';
import { reasonOf, usageError } from './failure.js';
import { addSharedLimits } from './gate-commands.js';
import { collect, nonEmpty, spanMs } from './option-values.js';
import type { Outcome } from './outcome.js';

export interface LimitFlags {
  readonly limit?: string;
  readonly limitPerUser?: string;
  readonly limitTool?: readonly string[];
  readonly limitWait?: number;
}

/** The options that say what calls are limited to. */
export function withLimits(command: Command, { wait }: { readonly wait: boolean }): Command {
  command
    .option('--limit <rate>', 'let at most so many calls through: 60/min, 5/s, 1000/day', nonEmpty)
    .option('--limit-per-user <rate>', 'and so many of each user', nonEmpty)
    .option(
      '--limit-tool <pattern=rate>',
      'and so many of each tool named like this: write_*=5/min; may be repeated',
      collect,
    );
  if (!wait) return command;
  return command.addOption(
    new Option(
      '--limit-wait <span>',
      'let a call wait so long for a limit: 10s; otherwise it is refused at once',
    ).argParser(spanMs),
  );
}

/**
 * The limits of the flags; where these name none, those of the configuration.
 *
 * @throws a usage error that says what is wrong
 */
export async function limitOptionsFrom(
  flags: LimitFlags,
  config?: RateLimitingConfig,
): Promise<LimitOptions | undefined> {
  const { limit, limitPerUser, limitTool, limitWait } = flags;
  if (!namesLimits(flags)) {
    if (config?.enabled === true) return await configuredOptions(config, limitWait);
    if (limitWait !== undefined) throw usageError('--limit-wait needs a limit to wait for');
    return undefined;
  }
  const { limitsFrom } = await import('../limits.js');
  try {
    return { limits: limitsFrom({ limit, limitPerUser, limitTool }), waitMs: limitWait };
  } catch (error) {
    throw usageError(reasonOf(error), error);
  }
}

/** Whether a flag puts the limits of the configuration out of force. */
function namesLimits({ limit, limitPerUser, limitTool }: LimitFlags): boolean {
  return limit !== undefined || limitPerUser !== undefined || limitTool !== undefined;
}

/** A wait that is given as a flag outranks the configured one. */
async function configuredOptions(
  config: RateLimitingConfig,
  limitWait: number | undefined,
): Promise<LimitOptions> {
  const { configuredLimits } = await import('../limits.js');
  const waitMs = limitWait ?? (config.wait === undefined ? undefined : spanMs(config.wait));
  return { limits: configuredLimits(config), waitMs };
}

export function addLimits(program: Command, outcome: Outcome): void {
  const limits = program
    .command('limits')
    .description('show what is used of the rate limits; its subcommands reset and try them out');
  addSharedLimits(limits, outcome);
  const simulate = limits
    .command('simulate')
    .description('replay timed requests, JSON lines, through limits, and print each decision')
    .argument(
      '<file>',
      'with {"at_ms":…,"actor":{"user_id":…},"tool":…,"cost":…} a line; - for stdin',
    )
    .option('--json', 'print one JSON object a request');
  withLimits(simulate, { wait: true }).action(
    async (file: string, flags: LimitFlags & { readonly json?: boolean }) => {
      const { simulate } = await import('./simulate.js');
      const { configOf } = await import('./config-choice.js');
      const loaded = await configOf();
      const options = await limitOptionsFrom(flags, loaded?.config.security.rateLimiting);
      if (options === undefined)
        throw usageError(
          'name a limit: --limit, --limit-per-user or --limit-tool, or configure some',
        );
      outcome.exitCode = await simulate({ file, json: flags.json ?? false, ...options });
    },
  );
}
