import { type Command, Option } from 'commander';
import type { RedisPlace } from '../gate/redis-connection.js';
import { usageError } from './failure.js';
import { nonEmpty, spanMs } from './option-values.js';
import type { Outcome } from './outcome.js';
import { placesOf, withPlaces } from './place-options.js';

interface ApproveFlags {
  readonly session?: boolean;
  readonly for?: number;
  readonly deny?: boolean;
  readonly list?: boolean;
  readonly revoke?: boolean;
  readonly json?: boolean;
}

/** What an operator says to the gates over a log while they run. */
export function addApprove(program: Command, outcome: Outcome): void {
  withPlaces(program.command('approve'))
    .description('answer a call that waits for a person, or show what waits')
    .argument('[id]', 'which one, as the refusal and --list name it')
    .addOption(
      new Option(
        '--session',
        'allow whatever the same rule asks of this tool in the session',
      ).conflicts(['for', 'deny']),
    )
    .addOption(
      new Option('--for <span>', 'allow whatever the same rule asks of this tool so long: 30m')
        .argParser(spanMs)
        .conflicts('deny'),
    )
    .option('--deny', 'refuse it')
    .addOption(
      new Option('--list', 'show what waits, and what is allowed').conflicts([
        ...['session', 'for', 'deny', 'revoke'],
      ]),
    )
    .addOption(
      new Option('--revoke', 'take back all that is allowed').conflicts([
        ...['session', 'for', 'deny'],
      ]),
    )
    .option('--json', 'with --list: print one JSON object')
    .action(async (id: string | undefined, flags: ApproveFlags, command: Command) => {
      checkFlags(id, flags);
      const places = await placesOf(command);
      if (id !== undefined) {
        const { approve } = await import('./approve.js');
        const { deny, session } = flags;
        const reach = flags.for === undefined ? 'once' : { forMs: flags.for };
        const options = {
          id,
          approved: deny !== true,
          reach: session ? 'session' : reach,
        } as const;
        outcome.exitCode = await approve(places, options);
        return;
      }
      const { listApprovals, revokeApprovals } = await import('./approvals.js');
      outcome.exitCode = flags.revoke
        ? await revokeApprovals(places)
        : await listApprovals(places, flags.json ?? false);
    });
}

function checkFlags(id: string | undefined, { list, revoke, json }: ApproveFlags): void {
  const other = list === true || revoke === true;
  if (id === undefined && !other)
    throw usageError('say which call: gatebook approve ID, or --list');
  if (id !== undefined && other)
    throw usageError('--list and --revoke are for all; leave the id out');
  if (json === true && list !== true) throw usageError('--json goes with --list only');
}

interface ShowFlags {
  readonly json?: boolean;
  readonly watch?: boolean;
}

interface ResetFlags {
  readonly session?: string;
  readonly yes?: boolean;
}

/** `gatebook limits` itself, and its reset. */
export function addSharedLimits(limits: Command, outcome: Outcome): void {
  withPlaces(limits)
    .enablePositionalOptions()
    .option('--json', 'print one JSON object; with --watch one a line')
    .option('--watch', 'show them anew each second')
    .action(async (flags: ShowFlags, command: Command) => {
      const { showLimits } = await import('./limits-show.js');
      const { json = false, watch = false } = flags;
      if ((await configuredRedis()) !== undefined) {
        const { say } = await import('./talk.js');
        say('the limits are counted in Redis (redis_url); what is used of them there is not shown');
      }
      outcome.exitCode = await showLimits(await placesOf(command), { json, watch });
    });
  withPlaces(limits.command('reset'))
    .description('make buckets full again, and let sessions go on that are stopped')
    .argument('[name]', 'the limit; all limits and all sessions where neither is named', nonEmpty)
    .option('--session <id>', 'the session that is stopped', nonEmpty)
    .option('--yes', 'do not ask')
    .action(async (name: string | undefined, flags: ResetFlags, command: Command) => {
      const { resetLimits } = await import('./limits-reset.js');
      const { session, yes = false } = flags;
      const redis = await configuredRedis();
      outcome.exitCode = await resetLimits(await placesOf(command), { name, session, redis, yes });
    });
}

async function configuredRedis(): Promise<RedisPlace | undefined> {
  const { configOf } = await import('./config-choice.js');
  const loaded = await configOf();
  if (loaded?.config.security.rateLimiting.redisUrl === undefined) return undefined;
  const { redisOf } = await import('./gate-settings.js');
  return redisOf(loaded.config.security.rateLimiting);
}
