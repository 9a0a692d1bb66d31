import { members, parseRate } from '@gatebook/ratelimit';
import { z } from 'zod';
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

const limit = z.strictObject({
  rate: key(z.string().refine(isRate), {
    help: 'How many pass in which time; they come back evenly. 0 lets nothing through.',
    wanted: 'a rate such as "60/min", "5/s", "1000/day" or "100/15min"',
  }),
  burst: key(z.number().min(0).max(1e9).optional(), {
    help: 'How many may pass at once.',
    wanted: 'a number from 0',
    unset: 'the count of the rate',
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

function isRate(rate: string): boolean {
  try {
    parseRate(rate);
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
      help: 'Further limits, each with a name: `[security.rate_limiting.limits.writes]` with `rate`, `burst`, `scope`, `tool`, `shadow`.',
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
