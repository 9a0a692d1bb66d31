import { checkLimits, members, parseRate } from '@gatebook/ratelimit';
import { z } from 'zod';
import { parseQuota } from '../limits.js';
import { key, onOff, span, spanWanted, text, yesOrNo } from './key.js';
import {
  always,
  whenFalse,
  whenLater,
  whenLess,
  whenMore,
  whenNotAll,
  whenTrue,
} from './weakening.js';

const perMinute = z.int().min(0).max(1e9);
const perMinuteWanted = 'a whole number from 0';

const rateWanted = 'a rate such as "60/min", "5/s", "1000/day" or "100/15min"';

const limit = z.strictObject({
  rate: key(z.string().refine(isRate).optional(), {
    help: 'How many pass in which time; they come back evenly. 0 lets nothing through.',
    wanted: rateWanted,
    unset: 'it is of another kind',
  }),
  burst: key(z.number().min(0).max(1e9).optional(), {
    help: 'How many of a rate may pass at once.',
    wanted: 'a number from 0',
    unset: 'the count of the rate',
  }),
  in_flight: key(z.int().min(0).max(1_000).optional(), {
    help: 'In the place of a rate: how many calls may be under way at once.',
    wanted: 'a whole number from 0 to 1000',
    unset: 'it is of another kind',
  }),
  quota: key(z.string().refine(isQuota).optional(), {
    help: 'In the place of a rate: how many pass in a calendar minute, hour, day, week or month.',
    wanted: 'a quota such as "1000/month", "200/day" or "50/hour"',
    unset: 'it is of another kind',
  }),
  zone: key(z.string().refine(isZone).optional(), {
    help: 'The time zone of that calendar.',
    wanted: 'the name of a time zone such as "Europe/Berlin"',
    unset: 'UTC',
  }),
  rolling: key(z.string().refine(isRolling).optional(), {
    help: 'In the place of a rate: how many pass in any span of that length, counted in sixtieths of it. Needs `redis_url`.',
    wanted: 'a quota such as "1000/30day" or "200/24h"',
    unset: 'it is of another kind',
  }),
  scope: key(z.array(z.enum(members)).default([]), {
    help: 'What each has a limit of its own.',
    wanted: `a list of ${members.map((member) => `"${member}"`).join(', ')}`,
  }),
  tool: key(text().optional(), {
    help: 'Which tools it is for; `*` stands for any characters.',
    wanted: 'the name of a tool, with * for any characters',
    unset: 'every call, also those that are of no tool',
  }),
  shadow: key(yesOrNo().default(false), {
    help: 'It counts what it would refuse, and refuses nothing.',
    wanted: onOff,
  }),
});

function isRate(text: string): boolean {
  return works(() => parseRate(text));
}

function isQuota(text: string): boolean {
  return works(() => parseQuota(text));
}

function isZone(zone: string): boolean {
  const quota = { ...parseQuota('1/day', zone), kind: 'quota' } as const;
  return works(() => checkLimits([{ ...quota, name: 'zone' }]));
}

function isRolling(text: string): boolean {
  return works(() => {
    const { count: max, perMs: rollingMs } = parseRate(text);
    checkLimits([{ kind: 'quota', name: 'rolling', max, period: { rollingMs } }]);
  });
}

function works(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

/** `[security.rate_limiting]` */
export const rateLimiting = z.strictObject({
  enabled: key(yesOrNo().default(false), {
    help: 'Whether calls through `gatebook mcp` and `gatebook exec` are limited. Where other keys of this section are set, it must be too.',
    wanted: onOff,
    live: true,
    weakens: whenFalse,
  }),
  requests_per_minute: key(perMinute.default(60), {
    help: 'Of all calls that are recorded: tools, resources, prompts, tasks.',
    wanted: perMinuteWanted,
    live: true,
    weakens: whenMore,
  }),
  tool_executions_per_minute: key(perMinute.default(30), {
    help: 'Of tool calls.',
    wanted: perMinuteWanted,
    live: true,
    weakens: whenMore,
  }),
  per_user_limit: key(yesOrNo().default(true), {
    help: 'Both are of each user (`--user`), not of all together.',
    wanted: onOff,
    live: true,
    weakens: whenTrue,
  }),
  wait: key(span().optional(), {
    help: 'How long a call waits for a limit.',
    wanted: spanWanted,
    live: true,
    unset: 'it is refused at once',
  }),
  limits: key(
    z.record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:*-]{0,63}$/), limit).default({}),
    {
      help: 'Further limits, each with a name: `[security.rate_limiting.limits.writes]` with `rate` (and `burst`), `in_flight`, `quota` (and `zone`) or `rolling`, and with `scope`, `tool`, `shadow`.',
      wanted: 'a table of limits, each with a name of at most 64 letters, digits and _.:*-',
      weakens: whenNotAll,
      live: true,
    },
  ),
  redis_url: key(z.string().refine(isRedisUrl).optional(), {
    help: 'A Redis or Valkey in which the limits are counted, for the gates of all logs and hosts that name it. It must not evict (`noeviction`).',
    wanted: 'a URL such as "redis://127.0.0.1:6379/0" or "rediss://user:password@host:6380"',
    weakens: always,
    unset: 'the gates over one log count together',
    secret: true,
  }),
  redis_prefix: key(
    z
      .string()
      .regex(/^[^{}]{1,64}$/)
      .default('gatebook'),
    {
      help: 'How its keys begin.',
      wanted: 'a text of at most 64 characters without braces',
      weakens: always,
    },
  ),
  on_store_failure: key(z.enum(['deny', 'local', 'allow']).default('deny'), {
    help: 'What becomes of calls while it is away: none passes, each process counts by itself, or all pass.',
    wanted: '"deny", "local" or "allow"',
    weakens: whenLater('when more passes', ['deny', 'local', 'allow']),
  }),
  expected_processes: key(z.int().min(1).max(1e6).default(1), {
    help: 'Among how many gates a limit is shared where each counts by itself.',
    wanted: 'a whole number above 0',
    weakens: whenLess,
  }),
});

function isRedisUrl(url: string): boolean {
  return /^rediss?:\/\/[^\s/?#]+(\/\d{0,4})?$/.test(url) && URL.canParse(url);
}
