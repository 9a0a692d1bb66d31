import { isEventType } from '@gatebook/audit';
import { members, parseRate } from '@gatebook/ratelimit';
import { z } from 'zod';
import { gateDefaults } from '../gate/defaults.js';
import type { Camel } from './camel.js';
import { key, onOff, span, spanWanted, text, yesOrNo } from './key.js';
import {
  always,
  whenEntriesLess,
  whenEntriesMore,
  whenFalse,
  whenHigher,
  whenLater,
  whenLess,
  whenLonger,
  whenMore,
  whenNotAll,
  whenTrue,
  whenValue,
} from './weakening.js';

/**
 * Everything that can be configured, under the names of `gatebook.toml`. The types, the defaults, the environment variables, the
 * JSON Schema and docs/config.md come from here.
 */

const days = z.number().gt(0).max(1_000_000);
const daysWanted = 'a number of days above 0, fractions allowed';
const mebibytes = z.number().min(0).max(1e9);

const holdFilter = z
  .strictObject({
    actor: text(),
    decision: yesOrNo(),
    risk: text(),
    tool: text(),
    type: text(),
  })
  .partial()
  .refine((filter) => Object.keys(filter).length > 0);

const eventType = z.string().refine((type): boolean => isEventType(type));
const witness = z.string().regex(/^https?:\/\/\S+=[^\s+/]+(\/[^\s+]*)?\+[0-9a-f]{8}\+\S+$/);

function recorded(types: string): z.ZodDefault<z.ZodBoolean> {
  const help = `Records of ${types}. Off, \`gatebook record\` acknowledges such a line as skipped.`;
  return key(yesOrNo().default(true), { help, wanted: onOff, live: true, weakens: whenFalse });
}

const audit = z.strictObject({
  enabled: key(yesOrNo().default(true), {
    help: 'Off, nothing is recorded, and calls pass all the same; each start says so.',
    wanted: onOff,
    live: true,
    weakens: whenFalse,
  }),
  log_path: key(text().optional(), {
    help: 'The log folder. `--log` and `GATEBOOK_LOG` outrank it.',
    wanted: 'the path of a folder',
    weakens: always,
    unset: '`$XDG_STATE_HOME/gatebook/log`',
    path: true,
  }),
  keys_path: key(text().optional(), {
    help: 'The keys folder. `--keys` and `GATEBOOK_KEYS` outrank it.',
    wanted: 'the path of a folder',
    weakens: always,
    unset: '`$XDG_CONFIG_HOME/gatebook/keys`',
    path: true,
  }),
  signing_key_path: key(text().optional(), {
    help: 'The Ed25519 key (PKCS#8 PEM, mode 0600) that a new log signs with. A log that is there keeps its key; that another one is named is an error.',
    wanted: 'the path of a file',
    weakens: always,
    unset: 'made in the keys folder',
    path: true,
  }),
  sign_events: key(yesOrNo().default(false), {
    help: 'A signed checkpoint is made as soon as a record is on disk, with those that were written together; else once a second.',
    wanted: onOff,
    weakens: whenFalse,
  }),
  on_log_failure: key(z.enum(['refuse', 'allow']).default('refuse'), {
    help: 'What becomes of a call that cannot be recorded.',
    wanted: '"refuse" or "allow"',
    weakens: whenValue('allow'),
  }),
  log_commands: recorded('`command_execution`'),
  log_tool_executions: recorded('`tool_execution` and the other calls of MCP (`mcp.…`)'),
  log_file_access: recorded('`file_access`'),
  log_auth_events: recorded('`auth_…`'),
  log_config_changes: recorded('`config_change`'),
  log_policy_violations: recorded(
    '`policy_violation`, `rate_limit_hit`, `ssrf_block`, `injection_block`',
  ),
  max_size_mb: key(z.number().min(0.004).max(1_048_576).default(100), {
    help: 'A segment of the log is sealed when it has reached this many mebibytes.',
    wanted: 'a number of mebibytes from 0.004 to 1048576',
  }),
  rotate: key(z.enum(['size', 'hourly', 'daily', 'weekly']).default('size'), {
    help: 'A segment is sealed too when its hour, day or week (UTC) has ended; `size`: at its size only.',
    wanted: '"size", "hourly", "daily" or "weekly"',
  }),
  archive: key(yesOrNo().default(false), {
    help: 'Sealed segments are compressed in the background, as gzip archives.',
    wanted: onOff,
  }),
  content: key(z.enum(['off', 'keep', 'personal']).optional(), {
    help: 'What becomes of content that does not stand in records: `keep` keeps it sealed, `personal` seals all that may be personal.',
    wanted: '"off", "keep" or "personal"',
    weakens: always,
    unset: 'as the log has it; a new log `off`',
  }),
  retention_days: key(days.optional(), {
    help: 'Segments are deleted this many days after their seal.',
    wanted: daysWanted,
    weakens: whenLess,
    unset: 'the policy that the log has in its book; a new log keeps everything',
  }),
  max_total_mb: key(mebibytes.optional(), {
    help: 'The oldest segments are deleted while the lines of the log are more mebibytes than this.',
    wanted: 'a number of mebibytes from 0',
    weakens: whenLess,
    unset: 'as for `retention_days`',
  }),
  max_records: key(z.int().min(1).optional(), {
    help: 'The oldest segments are deleted while the log holds more records than this.',
    wanted: 'a whole number from 1',
    weakens: whenLess,
    unset: 'as for `retention_days`',
  }),
  keep_types: key(z.record(eventType, days).default({}), {
    help: 'But a segment with a record of such a type is kept for so many days: `{ auth_failure = 400 }`.',
    wanted: 'a table of event types, each with a number of days above 0',
    weakens: always,
  }),
  holds: key(z.array(holdFilter).default([]), {
    help: 'And a segment is kept that holds all values of one of these: `[{ actor = "ann", risk = "high" }]`.',
    wanted: 'a list of tables with values of actor, decision, risk, tool or type',
    weakens: always,
  }),
  witnesses: key(z.array(witness).default([]), {
    help: 'Witnesses that cosign the checkpoints, each as `URL=KEY`.',
    wanted: 'a list of texts like "https://witness.example/=KEY"',
    weakens: always,
    secret: true,
  }),
  witness_policy: key(text().optional(), {
    help: 'A tlog-policy file; its witnesses that have a URL cosign.',
    wanted: 'the path of a file',
    weakens: always,
    unset: 'none',
    path: true,
    decides: true,
  }),
  witness_interval: key(span().default('60s'), {
    help: 'How often each witness gets the newest checkpoint, news or none.',
    wanted: spanWanted,
    weakens: whenLonger,
  }),
  anchor_files: key(z.array(text()).default([]), {
    help: 'Files elsewhere that the checkpoints are appended to.',
    wanted: 'a list of paths',
    weakens: always,
    path: true,
  }),
  anchor_commands: key(z.array(text()).default([]), {
    help: 'Shell commands that get each checkpoint on stdin.',
    wanted: 'a list of commands',
    weakens: always,
    secret: true,
  }),
  anchor_tsas: key(z.array(z.string().regex(/^https?:\/\/\S+$/)).default([]), {
    help: 'URLs of RFC 3161 time stamping authorities.',
    wanted: 'a list of URLs',
    weakens: always,
    secret: true,
  }),
  anchor_interval: key(span().default('10m'), {
    help: 'How often each anchor gets the newest checkpoint, news or none.',
    wanted: spanWanted,
    weakens: whenLonger,
  }),
});

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

const rateLimiting = z.strictObject({
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

const risk = z.enum(['low', 'medium', 'high', 'critical']);
const riskWanted = '"low", "medium", "high" or "critical"';
const patterns = z.array(text());
const patternsWanted =
  'a list of patterns such as "exec:rm *", "tool:github/delete_*", "write:infra/**"';

const policy = z.strictObject({
  enabled: key(yesOrNo().default(true), {
    help: 'Whether calls are rated and decided on. Off, whatever is asked for is allowed, and each record says so.',
    wanted: onOff,
    live: true,
    weakens: whenFalse,
  }),
  deny: key(patterns.default([]), {
    help: 'What touches one of them is denied.',
    wanted: patternsWanted,
    live: true,
    weakens: whenEntriesLess,
  }),
  ask: key(patterns.default([]), {
    help: 'What touches one of them is asked about, unless its risk denies it.',
    wanted: patternsWanted,
    live: true,
    weakens: whenEntriesLess,
  }),
  allow: key(patterns.default([]), {
    help: 'What is covered by them is allowed, unless its risk is critical.',
    wanted: patternsWanted,
    live: true,
    weakens: whenEntriesMore,
  }),
  ask_at: key(risk.default('high'), {
    help: 'Where no list speaks, a call is asked about from this risk on.',
    wanted: riskWanted,
    live: true,
    weakens: whenHigher,
  }),
  deny_at: key(risk.default('critical'), {
    help: 'And denied from this one on.',
    wanted: riskWanted,
    live: true,
    weakens: whenHigher,
  }),
  files: key(z.array(text()).default([]), {
    help: 'Files of Cedar policies that decide beside the lists.',
    wanted: 'a list of paths',
    weakens: always,
    path: true,
    decides: true,
  }),
  on_tool_change: key(z.enum(['record', 'ask', 'block']).default('ask'), {
    help: 'What becomes of calls to a tool of an MCP server whose description or schema is another than at first sight: it is recorded only, or they are asked about, or denied.',
    wanted: '"record", "ask" or "block"',
    weakens: whenLater('when weaker', ['block', 'ask', 'record']),
  }),
});

const approval = z.strictObject({
  timeout: key(span().default(gateDefaults.approvalTimeout), {
    help: 'How long a call waits for a person, before it is refused as pending. MCP clients give a call up after 60 s, most of them.',
    wanted: spanWanted,
    live: true,
  }),
  elicitation: key(yesOrNo().default(true), {
    help: 'Whether an MCP client that can show forms is made to ask its user. Turn it off for a client that lets the model answer.',
    wanted: onOff,
    weakens: whenTrue,
  }),
});

const count = z.int().min(1).max(1e9);
const countWanted = 'a whole number from 1';

const runaway = z.strictObject({
  enabled: key(yesOrNo().default(true), {
    help: 'Whether a session that runs in a loop is stopped.',
    wanted: onOff,
    live: true,
    weakens: whenFalse,
  }),
  identical_calls: key(count.default(gateDefaults.identicalCalls), {
    help: 'So many calls in a row may be the same, with less than ten minutes between them.',
    wanted: countWanted,
    live: true,
    weakens: whenMore,
  }),
  failures: key(count.default(gateDefaults.failures), {
    help: 'So many calls in a row may fail or be denied, with less than ten minutes between them.',
    wanted: countWanted,
    live: true,
    weakens: whenMore,
  }),
  calls: key(count.optional(), {
    help: 'So many calls a session may make.',
    wanted: countWanted,
    live: true,
    weakens: whenMore,
    unset: 'any number',
  }),
  wall_time: key(span().optional(), {
    help: 'So long a session may last, from its first call on.',
    wanted: spanWanted,
    live: true,
    weakens: whenLonger,
    unset: 'without end',
  }),
});

export const schema = z.strictObject({
  security: z
    .strictObject({
      audit: audit.prefault({}).describe('The log: where it is and how it is kept.'),
      rate_limiting: rateLimiting
        .prefault({})
        .describe(
          'How many calls pass. The options `--limit`, `--limit-per-user` and `--limit-tool` are in the place of all limits here. What Redis is for: [gate.md](gate.md#limits-in-redis).',
        ),
      policy: policy
        .prefault({})
        .describe('What is allowed, asked about or denied ([policy.md](policy.md)).'),
      approval: approval.prefault({}).describe('How a person is asked.'),
      runaway: runaway
        .prefault({})
        .describe(
          'When a session is stopped. A session is `--session`, else the process that started the gate.',
        ),
    })
    .prefault({}),
});

/** The whole configuration, with defaults filled in. */
export type Config = Camel<z.output<typeof schema>>;

export type AuditConfig = Config['security']['audit'];
export type RateLimitingConfig = Config['security']['rateLimiting'];
export type PolicyConfig = Config['security']['policy'];

/** Sections that have a name and nothing behind it yet. A key without an effect would be a promise that nobody keeps. */
export const notAvailable: ReadonlySet<string> = new Set([
  'security.credential_encryption',
  'security.prompt_injection',
  'security.resources',
  'security.sandbox',
  'security.ssrf',
]);
