import type { OutsideOptions, TlogPolicy } from '@gatebook/audit';
import { type Command, Option } from 'commander';
import type { AuditConfig } from '../config/schema.js';
import { reasonOf, usageError } from './failure.js';
import { readNamedBytes } from './log-folder.js';
import { collect, nonEmpty, spanMs } from './option-values.js';

/** The options of commands that keep evidence of the log outside this host, as commander gives them. */
export interface OutsideFlags {
  readonly witness?: readonly string[];
  readonly policy?: string;
  readonly witnessInterval?: number;
  readonly anchorFile?: readonly string[];
  readonly anchorCommand?: readonly string[];
  readonly anchorTsa?: readonly string[];
  readonly anchorInterval?: number;
}

export function withOutside(command: Command): Command {
  for (const option of outsideOptions()) command.addOption(option);
  return command;
}

function outsideOptions(): Option[] {
  return [
    new Option(
      '--witness <url=key>',
      'a witness that cosigns the checkpoints; may be repeated',
    ).argParser(collect),
    new Option(
      '--policy <file>',
      'a tlog-policy file; its witnesses that have a URL cosign',
    ).argParser(nonEmpty),
    new Option('--witness-interval <span>', 'how often, news or none (default: 60s)').argParser(
      spanMs,
    ),
    new Option(
      '--anchor-file <file>',
      'a file elsewhere to append the checkpoints to; may be repeated',
    ).argParser(collect),
    new Option(
      '--anchor-command <command>',
      'a shell command that gets each checkpoint on stdin; may be repeated',
    ).argParser(collect),
    new Option(
      '--anchor-tsa <url>',
      'an RFC 3161 time stamping authority; may be repeated',
    ).argParser(collect),
    new Option('--anchor-interval <span>', 'how often, news or none (default: 10m)').argParser(
      spanMs,
    ),
  ];
}

/** What the flags say, and of what they do not say the configuration, with the files they name read. */
export async function outsideFrom(
  flags: OutsideFlags,
  audit?: AuditConfig,
): Promise<OutsideOptions> {
  const given = (flags.witness ?? audit?.witnesses ?? []).map((text) => {
    const { url, key } = splitWitness(text);
    if (key === undefined) throw usageError(`--witness ${url} names no key: expected URL=KEY`);
    return { url, key };
  });
  const policy = flags.policy ?? audit?.witnessPolicy;
  const named = policy === undefined ? [] : await witnessesOf(policy);
  const witnesses = [...given, ...named];
  const anchors = [
    ...(flags.anchorFile ?? audit?.anchorFiles ?? []).map((file) => ({ file })),
    ...(flags.anchorCommand ?? audit?.anchorCommands ?? []).map((command) => ({ command })),
    ...(flags.anchorTsa ?? audit?.anchorTsas ?? []).map((tsa) => ({ tsa })),
  ];
  const anchorIntervalMs = flags.anchorInterval ?? msOf(audit?.anchorInterval);
  const witnessIntervalMs = flags.witnessInterval ?? msOf(audit?.witnessInterval);
  return {
    ...(anchors.length === 0 ? {} : { anchors }),
    ...(anchorIntervalMs === undefined ? {} : { anchorIntervalMs }),
    ...(witnesses.length === 0 ? {} : { witnesses }),
    ...(witnessIntervalMs === undefined ? {} : { witnessIntervalMs }),
  };
}

function msOf(span: string | undefined): number | undefined {
  return span === undefined ? undefined : spanMs(span);
}

/** `URL` or `URL=KEY`; a key begins with its name and never with a scheme, so the first `=` that a key follows counts. */
export function splitWitness(text: string): { url: string; key?: string } {
  for (let at = text.indexOf('='); at >= 0; at = text.indexOf('=', at + 1)) {
    const key = text.slice(at + 1);
    if (/^[^\s+/]+(\/[^\s+]*)?\+[0-9a-f]{8}\+/u.test(key)) return { url: text.slice(0, at), key };
  }
  return { url: text };
}

async function witnessesOf(file: string): Promise<NonNullable<OutsideOptions['witnesses']>> {
  const { addressesOf } = await import('@gatebook/audit');
  const witnesses = addressesOf((await readPolicy(file)).witnesses);
  if (witnesses.length === 0) {
    throw usageError(`--policy ${file} names no witness with a URL that can be asked`);
  }
  return witnesses;
}

export async function readPolicy(file: string): Promise<TlogPolicy> {
  const { parsePolicy } = await import('@gatebook/audit');
  try {
    return parsePolicy(await readNamedBytes('--policy', file));
  } catch (error) {
    throw usageError(`--policy ${file}: ${reasonOf(error)}`, error);
  }
}
