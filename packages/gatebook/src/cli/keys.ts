import { readFile, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import {
  AuditError,
  type AuditLog,
  eraseInitialKey,
  type KeyFacts,
  type KeyRotationOptions,
  type LogKeys,
  logKeys,
  readPublicKeyFile,
} from '@gatebook/audit';
import { openLog } from '../open-log.js';
import { outputFile, standardOutput, withDestination, writeStdout } from './destination.js';
import { CliError, codeOf, reasonOf, usageError } from './failure.js';
import { requireLog } from './log-folder.js';
import { requireUngatedHere } from './operator.js';
import type { Places } from './places.js';
import { forwardSecurityText, say, warnForwardSecurity } from './talk.js';
import { visible } from './visible.js';

/** `gatebook keys show`: the keys of the history, and where those that sign come from. */
export async function showKeys(places: Places, json: boolean): Promise<number> {
  await requireLog(places.dir);
  const found = await logKeys(places);
  await writeStdout(json ? `${JSON.stringify(jsonOf(found))}\n` : textOf(found));
  return 0;
}

function jsonOf(found: LogKeys): unknown {
  const { forwardSecurity: forward } = found;
  return {
    origin: found.origin,
    keys: found.keys.map(({ publicKey, since, retired, source }) => ({
      public_key: publicKey,
      since,
      retired,
      source,
    })),
    forward_security: { on: forward.on, initial_key_file: forward.initialKeyFile },
    previous_log: found.previousLog,
  };
}

function textOf(found: LogKeys): string {
  const lines = [`origin      ${found.origin}`];
  for (const key of found.keys) lines.push(...keyLines(key));
  if (found.previousLog !== undefined)
    lines.push(`goes on from ${JSON.stringify(found.previousLog)}`);
  lines.push(forwardSecurityText(found.forwardSecurity));
  return lines.map((line) => `${visible(line)}\n`).join('');
}

function keyLines({ publicKey, since, retired, source }: KeyFacts): string[] {
  const end =
    retired === undefined ? 'signs' : `retired at seq ${retired.seq}, ${retired.timestamp}`;
  return [
    `public key  ${publicKey}`,
    `  since     seq ${since.seq}, ${since.timestamp}; ${end}`,
    ...(source === undefined ? [] : [`  from      ${source}`]),
  ];
}

export interface ExportCommand {
  readonly places: Places;
  readonly what: 'public' | 'hmac';
  readonly output?: string | undefined;
  readonly remove: boolean;
}

/** `gatebook keys export`: the newest public key for verifiers, or the initial HMAC key for the auditor. */
export async function exportKey(command: ExportCommand): Promise<number> {
  const { places, what, output, remove } = command;
  if (remove && (what !== 'hmac' || output === undefined))
    throw usageError('--remove goes with --hmac and --output FILE, so that the key is not lost');
  const text =
    what === 'public'
      ? `${await readPublicKeyFile(join(places.keysDir, 'public-key'))}\n`
      : await initialKey(places);
  if (what === 'hmac') await requireUngatedHere(places, 'gatebook keys export --hmac');
  if (what === 'hmac') await refuseOnScreen(places, output);
  const destination =
    output === undefined ? standardOutput() : await outputFile(output, places, 'new');
  await withDestination(destination, (to) => to.write(text));
  if (!remove) return 0;
  eraseInitialKey(places.keysDir);
  say(`forward security on: the initial HMAC key is in ${output} alone; move it off this host`);
  return 0;
}

async function refuseOnScreen(places: Places, output: string | undefined): Promise<void> {
  if (output === undefined && process.stdout.isTTY === true)
    throw usageError('the HMAC key is not shown on a terminal; name a file with --output');
  if (output === undefined) return;
  const folder = await realpath(dirname(resolve(output))).catch(() => undefined);
  const keys = await realpath(places.keysDir).catch(() => undefined);
  if (folder !== undefined && folder === keys)
    throw usageError(`${output} lies in the keys folder, where the key is already`);
}

async function initialKey(places: Places): Promise<string> {
  const file = join(places.keysDir, 'initial-hmac-key');
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason =
      codeOf(error) === 'ENOENT'
        ? `${file} is not there: it was moved off this host already, or there is no log`
        : `${file} cannot be read: ${reasonOf(error)}`;
    throw new CliError(1, reason, { cause: error });
  }
}

/** `gatebook keys rotate`: signs with a new key from here on. */
export async function rotateKey(places: Places, options: KeyRotationOptions): Promise<number> {
  await requireUngatedHere(places, 'gatebook keys rotate');
  return await withLog(places, async (log) => {
    const publicKey = await log.rotateSigningKey(options);
    const { keys } = await logKeys(places);
    const both = keys.filter(({ retired }) => retired === undefined).length > 1;
    if (options.overlap === true)
      say(
        'both keys sign; tell whoever checks by key of the new one, then run gatebook keys retire',
      );
    else if (both)
      say(
        'both keys sign until the witnesses have taken the new one: give it to them; gatebook keys retire does not wait',
      );
    else
      say('the old key has retired; verifiers who have it can go on with it, or take the new one');
    return publicKey;
  });
}

/** `gatebook keys retire`: ends an overlap. */
export async function retireKey(places: Places): Promise<number> {
  await requireUngatedHere(places, 'gatebook keys retire');
  return await withLog(places, (log) => log.retireSigningKey());
}

async function withLog(places: Places, act: (log: AuditLog) => Promise<string>): Promise<number> {
  await requireLog(places.dir);
  const log = await openLog({ dir: places.dir, keysDir: places.keysDir });
  let publicKey: string;
  try {
    warnForwardSecurity(log.forwardSecurity);
    publicKey = await act(log);
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'log_locked') throw error;
    throw new CliError(1, `${reasonOf(error)}: end it first, or call rotateSigningKey() there`, {
      cause: error,
    });
  } finally {
    await log.close();
  }
  await writeStdout(`${publicKey}\n`);
  return 0;
}
