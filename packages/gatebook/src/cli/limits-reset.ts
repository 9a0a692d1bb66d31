import type { AuditEvent } from '@gatebook/audit';
import { personName } from '../gate/person.js';
import type { RedisPlace } from '../gate/redis-connection.js';
import type { OperatorAnswer, OperatorAsk } from '../gate/state/operator-message.js';
import { CliError, usageError } from './failure.js';
import { recorded, requireUngated, type Seen, seen } from './operator.js';
import type { Places } from './places.js';
import { counted, say } from './talk.js';
import { confirmed } from './terminal-question.js';

export interface LimitsResetOptions {
  /** The limit; all without it, unless a session is named. */
  readonly name?: string | undefined;
  readonly session?: string | undefined;
  /** Where the limits are counted, if not by the gates over this log. */
  readonly redis?: RedisPlace | undefined;
  /** Not asked any more. */
  readonly yes: boolean;
}

/** `gatebook limits reset`: makes buckets full, and lets sessions go on that are stopped. */
export async function resetLimits(places: Places, options: LimitsResetOptions): Promise<number> {
  const { name, session, redis } = options;
  if (redis !== undefined && name !== undefined) {
    throw usageError(
      'where the limits are counted in Redis (redis_url) only all of them can be reset; leave the name out',
    );
  }
  const { kept, answer: before } = await seen(places, 'limits', {});
  requireUngated(before?.gates ?? [], 'gatebook limits reset');
  const isOfRedis = redis !== undefined && session === undefined;
  if (before === undefined) requireAll(isOfRedis ? 'unknown' : kept, options);
  else if (name !== undefined && !before.limits.some(({ spec }) => spec.name === name)) {
    throw new CliError(1, `no limit named ${name} is in use; see gatebook limits`);
  }
  if (!(await agreed(options))) return 1;
  const event: AuditEvent = {
    eventType: 'gate.limits_reset',
    ...(session === undefined ? {} : { sessionId: session }),
    details: { by: personName(), ...(name === undefined ? {} : { limit: name }) },
  };
  const answer = await recorded(places, event, ({ decide }) =>
    isOfRedis ? forgotten(redis, decide) : decide('reset', { limit: name, session }),
  );
  if (answer === undefined) {
    throw new CliError(
      1,
      'nothing was reset, though it was recorded: the gate has just ended; try again',
    );
  }
  say(
    `${counted(answer.limits, 'limit')} and ${counted(answer.sessions, 'stopped session')} reset, and recorded`,
  );
  return 0;
}

type Reset = OperatorAnswer<'reset'>;

async function forgotten(
  redis: RedisPlace,
  decide: (op: 'reset', ask: OperatorAsk<'reset'>) => Promise<Reset | undefined>,
): Promise<Reset | undefined> {
  const { connectRedis } = await import('../gate/redis-connection.js');
  const store = await connectRedis(redis, [], () => {});
  try {
    await store.forget();
  } catch (error) {
    throw new CliError(
      1,
      `the Redis of the limits (redis_url) does not answer (${error instanceof Error ? error.name : 'unknown'}), so it was not reset, though that was recorded; try again`,
      { cause: error },
    );
  } finally {
    store.close();
  }
  say('the limits in Redis (redis_url) are reset');
  return await decide('reset', {});
}

/** Of what is not known all can be reset, and of nothing nothing. */
function requireAll(kept: Seen<'limits'>['kept'], { name, session }: LimitsResetOptions): void {
  if (kept === 'nothing') throw new CliError(1, 'no gate has used a limit over this log');
  if (name === undefined && session === undefined) return;
  throw new CliError(
    1,
    'the process that held the buckets ended without a word, so which there are is not known; only a reset of all is possible',
  );
}

async function agreed({ name, session, yes }: LimitsResetOptions): Promise<boolean> {
  if (yes) return true;
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
    throw usageError(
      'gatebook limits reset asks first and needs a terminal; without one give --yes',
    );
  }
  const limits = name === undefined ? 'all limits' : `the limit ${JSON.stringify(name)}`;
  const whose = session === undefined ? '' : `what session ${JSON.stringify(session)} has counted`;
  const both = name === undefined && session === undefined;
  const what = both
    ? `${limits} and all stopped sessions`
    : [name === undefined ? '' : limits, whose].filter((part) => part !== '').join(' and ');
  return await confirmed(`Reset ${what}? [y/N] `);
}
