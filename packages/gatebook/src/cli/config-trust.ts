import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { AuditEvent, JsonObject } from '@gatebook/audit';
import type { Command } from 'commander';
import { namedObjects, shownValue } from '../config/change.js';
import { projectFile } from '../config/files.js';
import { readTrustable, type Trustable } from '../config/load.js';
import { tomlText } from '../config/toml-text.js';
import { trust, untrust } from '../config/trust.js';
import { personName } from '../gate/person.js';
import { recordAll, switchedOff } from '../recording.js';
import { configOf } from './config-choice.js';
import { CliError, reasonOf, usageError } from './failure.js';
import { gatesOver, recorded, requireTerminal, requireUngated } from './operator.js';
import { placesOf } from './place-options.js';
import type { Places } from './places.js';
import { say } from './talk.js';
import { confirmed } from './terminal-question.js';

export interface TrustOptions {
  /** Names the log that has it in the book. */
  readonly command: Command;
  /** By default the file of this project. */
  readonly named: string | undefined;
  /** Nobody is asked. */
  readonly yes: boolean;
}

/** `gatebook config trust [FILE]`: says what the file is to be trusted with, asks, and trusts just these bytes, once that is recorded. */
export async function trustConfig({ command, named, yes }: TrustOptions): Promise<number> {
  const file = fileOf(named);
  const read = readTrustable(file, process.env);
  if (read === undefined) throw usageError(`${file}: there is no such file`);
  const book = await bookOf(command);
  await guard(book, yes);
  for (const { key, value, place } of read.weakening) {
    const shown = key.secret === true ? shownValue({ key, value }) : tomlText(value);
    say(`${file}:${place?.line}:${place?.column}: ${key.name} = ${shown}`);
  }
  for (const { path, sha256 } of read.named)
    say(`which decides as it is now: ${path}, sha256 ${sha256}`);
  if (read.weakening.length === 0) say(`nothing in ${file} needs trust`);
  if (!yes && !(await confirmed('Let the file set this? [y/N] '))) {
    say(`${file} is not trusted any more than before`);
    return 1;
  }
  await keep(book, { trusted: trustedObject(file, read) }, () =>
    trust(process.env, file, read.bytes, read.named),
  );
  say(`${file} is trusted as it is now, sha256 ${read.sha256}`);
  return 0;
}

/** `gatebook config trust --revoke [FILE]`: what in the file needs trust is ignored again. */
export async function revokeTrust({ command, named, yes }: TrustOptions): Promise<number> {
  const file = fileOf(named);
  const book = await bookOf(command).catch((error: unknown) => ({ off: reasonOf(error) }));
  await guard(book, yes);
  if (!yes && !(await confirmed(`Trust ${tomlText(file)} no more? [y/N] `))) return 1;
  let was = false;
  await keep(book, { untrusted: { file: file.toWellFormed() } }, () => {
    was = untrust(process.env, file);
  });
  say(was ? `${file} is not trusted any more` : `${file} was not trusted`);
  return 0;
}

function fileOf(named: string | undefined): string {
  const file = named === undefined ? projectFile(process.cwd()) : resolve(named);
  if (file !== undefined) return file;
  throw usageError('there is no gatebook.toml here, nor above in this repository; name a file');
}

/** Where it is recorded, or why it is not. */
interface Book {
  readonly places?: Places;
  readonly off?: string;
}

/** The log in force without the file. One that is not there yet has nothing to say of what it goes by. */
async function bookOf(command: Command): Promise<Book> {
  const loaded = await configOf();
  const places = await placesOf(command, process.env, loaded);
  const off = switchedOff(loaded?.config.security.audit ?? recordAll, 'config_change');
  if (off !== undefined) return { places, off: `security.audit.${off} = false` };
  const made = [join(places.dir, 'segments'), join(places.keysDir, 'origin')].some(existsSync);
  return made ? { places } : { places, off: `there is no log at ${places.dir} yet` };
}

/** Whoever started this must not be what the file would set free. */
async function guard({ places }: Book, yes: boolean): Promise<void> {
  const gates = places === undefined ? [] : await gatesOver(places);
  requireUngated(gates, 'gatebook config trust');
  if (!yes) requireTerminal('gatebook config trust', 'without one give --yes');
}

async function keep({ places, off }: Book, what: JsonObject, act: () => void): Promise<void> {
  if (places === undefined || off !== undefined) {
    act();
    say(`not recorded: ${off}`);
    return;
  }
  const event: AuditEvent = {
    eventType: 'config_change',
    source: 'gatebook config',
    details: { by: personName(), ...what },
  };
  await recorded(places, event, async ({ append }) => {
    try {
      act();
    } catch (error) {
      // The book must not say what is not so.
      const result = { success: false, status: 'error', error: reasonOf(error).toWellFormed() };
      await append({ ...event, result });
      throw new CliError(1, `nothing was changed, though it was recorded: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  });
}

function trustedObject(file: string, { sha256, weakening, named }: Trustable): JsonObject {
  const keys = weakening.map((each) => ({ key: each.key.name, value: shownValue(each) }));
  const files = named.length === 0 ? {} : { files: namedObjects(named) };
  return { file: file.toWellFormed(), sha256, keys, ...files };
}
