import { type Command, Option } from 'commander';
import type { LimitOptions } from '../mcp/call-limits.js';
import { reasonOf, usageError } from './failure.js';
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

/** @throws a usage error that says what is wrong */
export async function limitOptionsFrom(flags: LimitFlags): Promise<LimitOptions | undefined> {
  const { limit, limitPerUser, limitTool, limitWait } = flags;
  if (limit === undefined && limitPerUser === undefined && limitTool === undefined) {
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

export function addLimits(program: Command, outcome: Outcome): void {
  const limits = program.command('limits').description('try out rate limits');
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
      const options = await limitOptionsFrom(flags);
      if (options === undefined)
        throw usageError('name a limit: --limit, --limit-per-user or --limit-tool');
      outcome.exitCode = await simulate({ file, json: flags.json ?? false, ...options });
    },
  );
}
