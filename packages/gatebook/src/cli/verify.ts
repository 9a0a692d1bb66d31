import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type Brought,
  readPublicKeyFile,
  type TlogPolicy,
  VerifyMemory,
  type VerifyOptions,
  type VerifyReport,
  verifyExitCode,
  verifyLog,
} from '@gatebook/audit';
import { readKeyFiles } from './check-proof.js';
import { coloured } from './colour.js';
import { OutputClosed, writeStdout } from './destination.js';
import { CliError, codeOf, reasonOf, usageError } from './failure.js';
import { claimedOrigin, readIfThere, readNamedFile, requireFolder } from './log-folder.js';
import { askWitnesses, heldByAnchors } from './outside-evidence.js';
import { readPolicy } from './outside-options.js';
import type { Places } from './places.js';
import { count } from './talk.js';
import { type Evidence, newsText, reportJson, reportText } from './verify-text.js';
import { ended } from './witness.js';

export interface VerifyCommand {
  readonly places: Places;
  /** Files with public keys; none: the keys folder's own. */
  readonly keys: readonly string[];
  readonly hmacKey?: string | undefined;
  readonly checkpoints: readonly string[];
  readonly policy?: string | undefined;
  /** `URL` or `URL=KEY`. */
  readonly witnesses: readonly string[];
  /** Anchor files. */
  readonly anchors: readonly string[];
  /** A PEM file. */
  readonly tsaCert?: string | undefined;
  readonly maxAgeMs?: number | undefined;
  readonly level?: 'public' | 'auditor' | undefined;
  /** In days. */
  readonly minRetention?: number | undefined;
  readonly strict: boolean;
  readonly json: boolean;
  /** Look again so often, until something is wrong. */
  readonly watchMs?: number | undefined;
}

/** `gatebook audit verify`: the verdict of docs/format.md §9, and its exit code. */
export async function verify(command: VerifyCommand): Promise<number> {
  // A folder without segments is not passed over here: what was in it may be missed by the head.
  await requireFolder(command.places.dir, command.places.dir, 3);
  if (command.watchMs !== undefined) return await watch(command, command.watchMs);
  const looked = await look(command);
  await print(command, looked);
  return looked.exitCode;
}

interface Look {
  readonly report: VerifyReport;
  readonly evidence: readonly Evidence[];
  readonly exitCode: number;
}

async function look(command: VerifyCommand, memory?: VerifyMemory): Promise<Look> {
  const evidence: Evidence[] = [];
  const options = await gather(command, evidence);
  const report = await run({ ...options, memory });
  return { report, evidence, exitCode: verifyExitCode(report, command.strict) };
}

/** So often everything is read again, changed or not. */
const wholeEveryMs = 3_600_000;

/** Looks again and again, until it must not exit 0 or somebody ends it; every look but the first reads what is new. */
async function watch(command: VerifyCommand, everyMs: number): Promise<number> {
  const memory = new VerifyMemory();
  const stop = new AbortController();
  const end = ended().then(() => stop.abort());
  let told: VerifyReport | undefined;
  let wholeAt = performance.now() + wholeEveryMs;
  for (;;) {
    if (performance.now() >= wholeAt) {
      memory.forget();
      wholeAt = performance.now() + wholeEveryMs;
    }
    const looked = await look(command, memory);
    const { report, exitCode } = looked;
    // What is pending may be signed by the next look, and only the verdict is a problem to be told of.
    const wrong = report.verdict !== 'ok';
    if (told === undefined || wrong || command.json) await print(command, looked);
    else if (report.size !== told.size) await writeStdout(newsText(report, told));
    if (wrong) return exitCode;
    told = report;
    await Promise.race([pause(everyMs, undefined, { signal: stop.signal }).catch(() => {}), end]);
    if (stop.signal.aborted) return exitCode;
  }
}

async function print(command: VerifyCommand, { report, evidence, exitCode }: Look): Promise<void> {
  const text = command.json
    ? reportJson(report)
    : reportText(report, {
        evidence,
        strictFailed: exitCode === 3 && report.verdict === 'ok',
        colour: coloured(process.stdout.isTTY === true, process.env),
      });
  try {
    await writeStdout(text);
  } catch (error) {
    // The exit code is the answer, whether or not somebody reads the words.
    if (!(error instanceof OutputClosed)) throw error;
  }
}

async function gather(command: VerifyCommand, evidence: Evidence[]): Promise<VerifyOptions> {
  const { places } = command;
  const held: Brought[] = [];
  for (const file of command.checkpoints) {
    held.push({ name: file, note: await readNamedFile('--checkpoint', file) });
    evidence.push({ kind: 'checkpoint', file });
  }
  const anchored = await heldByAnchors(command.anchors, command.tsaCert);
  held.push(...anchored.held);
  for (const file of command.anchors) evidence.push({ kind: 'anchor', file });
  const hmacKey =
    command.hmacKey === undefined ? undefined : await readNamedFile('--hmac-key', command.hmacKey);
  if (command.hmacKey !== undefined)
    evidence.push({ kind: 'initial HMAC key', file: command.hmacKey });
  const policy = command.policy === undefined ? undefined : await readPolicy(command.policy);
  if (command.policy !== undefined) evidence.push({ kind: 'policy', file: command.policy });
  const publicKeys = await publicKeysOf(command, policy, evidence);
  const asked = await askWitnesses(command.witnesses, publicKeys);
  for (const { name, note } of asked.held) {
    held.push({ name, note });
    evidence.push({ kind: 'witness', file: name.replace(/^the witness /, '') });
  }
  const head = await ownHead(places);
  if (head !== undefined) evidence.push({ kind: 'head', file: join(places.keysDir, 'head') });
  return {
    dir: places.dir,
    publicKeys,
    level: command.level ?? (hmacKey === undefined ? 'public' : 'auditor'),
    held,
    problems: [...anchored.problems, ...asked.problems],
    policy: policy ?? asked.policy,
    maxAgeMs: command.maxAgeMs,
    minRetentionDays: command.minRetention,
    ...(hmacKey === undefined ? {} : { hmacKey }),
    ...(head === undefined ? {} : { head }),
  };
}

/** The keys brought; else those of the policy's logs that this one can be; else the keys folder's. */
async function publicKeysOf(
  command: VerifyCommand,
  policy: TlogPolicy | undefined,
  evidence: Evidence[],
): Promise<string[]> {
  const brought = command.keys.length > 0;
  if (!brought && policy !== undefined && policy.logs.length > 0) {
    const claimed = await claimedOrigin(command.places.dir);
    const own = policy.logs.filter(({ name }) => name === claimed);
    return (own.length > 0 ? own : policy.logs).map(({ text }) => text);
  }
  const own = join(command.places.keysDir, 'public-key');
  if (!brought && (await readIfThere(own)) === undefined) return [];
  const files = brought ? command.keys : [own];
  for (const file of files) evidence.push({ kind: 'public key', file });
  if (brought) return await readKeyFiles(files);
  try {
    return [await readPublicKeyFile(own)];
  } catch (error) {
    throw new CliError(3, `unverifiable: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * The writer's head, when the keys folder is of this log. A log that does not say whose it is may be what is left of
 * ours, so the head counts then too.
 */
async function ownHead(places: Places): Promise<string | undefined> {
  const origin = (await readIfThere(join(places.keysDir, 'origin')))?.trim();
  if (origin === undefined || origin === '') return undefined;
  const claimed = await claimedOrigin(places.dir);
  if (claimed !== undefined && claimed !== origin) return undefined;
  return await readIfThere(join(places.keysDir, 'head'));
}

async function run(options: VerifyOptions): Promise<VerifyReport> {
  const progress = process.stderr.isTTY === true ? showProgress : undefined;
  try {
    return await verifyLog({
      ...options,
      ...(progress === undefined ? {} : { onProgress: progress }),
    });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'bad_key' || code === 'bad_checkpoint') throw usageError(reasonOf(error), error);
    // Whatever keeps us from reading the log says nothing about it, so it is neither ok nor tampered.
    throw new CliError(3, `unverifiable: ${reasonOf(error)}`, { cause: error });
  } finally {
    if (progress !== undefined) process.stderr.write('\r\x1b[K');
  }
}

function showProgress(records: number, bytes: number): void {
  process.stderr.write(`\r${count(records)} records, ${count(Math.round(bytes / 1e6))} MB\x1b[K`);
}
