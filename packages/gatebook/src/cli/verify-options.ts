import { type Command, Option } from 'commander';
import { collect, nonEmpty, spanDays, spanMs } from './option-values.js';
import { placesOf } from './place-options.js';

/** The options of `gatebook audit verify` as commander gives them. */
export interface VerifyFlags {
  readonly key?: readonly string[];
  readonly hmacKey?: string;
  readonly checkpoint?: readonly string[];
  readonly policy?: string;
  readonly witness?: readonly string[];
  readonly anchor?: readonly string[];
  readonly tsaCert?: string;
  readonly maxAge?: number;
  readonly level?: 'public' | 'auditor';
  /** In days. */
  readonly minRetention?: number;
  readonly watch?: number | true;
  readonly strict?: boolean;
  readonly contents?: boolean;
  readonly json?: boolean;
}

export function verifyOptions(): Option[] {
  return [
    new Option(
      '--key <file>',
      "a public key; default: the keys folder's; may be repeated",
    ).argParser(collect),
    new Option('--hmac-key <file>', 'the initial HMAC key, for the level auditor').argParser(
      nonEmpty,
    ),
    new Option('--checkpoint <file>', 'a checkpoint held from before; may be repeated').argParser(
      collect,
    ),
    new Option('--policy <file>', 'a tlog-policy: which witnesses must have cosigned').argParser(
      nonEmpty,
    ),
    new Option(
      '--witness <url[=key]>',
      'hold against the log what this witness cosigned last; may be repeated',
    ).argParser(collect),
    new Option('--anchor <file>', 'an anchor file or time stamp; may be repeated').argParser(
      collect,
    ),
    new Option('--tsa-cert <file>', 'PEM roots of time stamping authorities').argParser(nonEmpty),
    new Option(
      '--max-age <span>',
      'how long ago a trusted witness or an anchor may have seen the log last: 10m',
    ).argParser(spanMs),
    new Option('--level <level>', 'default: auditor with --hmac-key, else public').choices([
      'public',
      'auditor',
    ]),
    new Option(
      '--min-retention <span>',
      'call deleted records missing that were kept for less, whatever the book allows: 30d, 12h',
    ).argParser(spanDays),
    new Option(
      '--watch [span]',
      'look again so often (default: 10s) and end at the first problem',
    ).argParser(spanMs),
    new Option('--strict', 'exit 3 when records are under no signature yet'),
    new Option(
      '--contents',
      'open sealed content with the keys folder too, and exit 1 where it is not what was committed to',
    ),
    new Option('--json', 'print the report as one JSON object'),
  ];
}

export async function runVerify(flags: VerifyFlags, command: Command): Promise<number> {
  const { verify } = await import('./verify.js');
  return await verify({
    places: await placesOf(command),
    keys: flags.key ?? [],
    hmacKey: flags.hmacKey,
    checkpoints: flags.checkpoint ?? [],
    policy: flags.policy,
    witnesses: flags.witness ?? [],
    anchors: flags.anchor ?? [],
    tsaCert: flags.tsaCert,
    maxAgeMs: flags.maxAge,
    level: flags.level,
    minRetention: flags.minRetention,
    watchMs: flags.watch === true ? 10_000 : flags.watch,
    strict: flags.strict ?? false,
    contents: flags.contents ?? false,
    json: flags.json ?? false,
  });
}

export const verifyOptionNames: readonly string[] = [
  'key',
  'hmac-key',
  'checkpoint',
  'policy',
  'witness',
  'anchor',
  'tsa-cert',
  'max-age',
  'level',
  'min-retention',
  'watch',
  'strict',
  'contents',
  'json',
];
