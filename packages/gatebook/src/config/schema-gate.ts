import { z } from 'zod';
import { gateDefaults } from '../gate/defaults.js';
import { key, onOff, span, spanWanted, text, yesOrNo } from './key.js';
import {
  always,
  whenEntriesLess,
  whenEntriesMore,
  whenFalse,
  whenHigher,
  whenLater,
  whenLonger,
  whenMore,
  whenTrue,
} from './weakening.js';

const risk = z.enum(['low', 'medium', 'high', 'critical']);
const riskWanted = '"low", "medium", "high" or "critical"';
const patterns = z.array(text());
const patternsWanted =
  'a list of patterns such as "exec:rm *", "tool:github/delete_*", "write:infra/**"';

/** `[security.policy]` */
export const policy = z.strictObject({
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
    live: true,
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

/** `[security.approval]` */
export const approval = z.strictObject({
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

/** `[security.runaway]` */
export const runaway = z.strictObject({
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
