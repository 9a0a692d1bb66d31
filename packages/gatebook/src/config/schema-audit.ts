import { isEventType } from '@gatebook/audit';
import { z } from 'zod';
import { key, onOff, span, spanWanted, text, yesOrNo } from './key.js';
import { always, whenFalse, whenLess, whenLonger, whenValue } from './weakening.js';

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

/** `[security.audit]` */
export const audit = z.strictObject({
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
