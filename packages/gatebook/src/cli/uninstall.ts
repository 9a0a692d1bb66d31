import { existsSync } from 'node:fs';
import { userFile } from '../config/files.js';
import { type ClientName, clientNames } from '../setup/clients.js';
import { planUnwiring } from '../setup/plan.js';
import { readBackups } from '../setup/replacing.js';
import { changeOf, clientOf, fileOf, finish, ownFileOf } from './client-change.js';
import { writeStdout } from './destination.js';
import { describeFailure, exitCodeOf } from './failure.js';
import { requireUngatedHere } from './operator.js';
import type { Places } from './places.js';
import { say } from './talk.js';
import { visible } from './visible.js';

export interface Uninstall {
  /** Undefined: every client whose own file is there. */
  readonly client: ClientName | undefined;
  readonly file: string | undefined;
  readonly dryRun: boolean;
}

/** `gatebook uninstall`: undoes what `gatebook init --client` did to a client's file, and names what stays. */
export async function uninstall(
  options: Uninstall,
  placesOf: () => Promise<Places>,
): Promise<number> {
  const { client, file, dryRun } = options;
  if (!dryRun)
    await requireUngatedHere(await placesOf().catch(() => undefined), 'gatebook uninstall');
  const names = client === undefined ? clientNames.filter(hasFile) : [client];
  if (names.length === 0) say('there is no client’s file here; name one with --client and --file');
  let code = 0;
  for (const name of names) {
    try {
      code = Math.max(code, await unwire(name, file, dryRun));
    } catch (error) {
      // One file that is wrong keeps no other client from being set right.
      process.stderr.write(describeFailure(error, false));
      code = Math.max(code, exitCodeOf(error));
    }
  }
  await nameWhatStays(placesOf);
  return code;
}

function hasFile(name: ClientName): boolean {
  return existsSync(ownFileOf(clientOf(name)));
}

async function unwire(
  name: ClientName,
  named: string | undefined,
  dryRun: boolean,
): Promise<number> {
  const client = clientOf(name);
  const file = fileOf(client, named);
  const plan = planUnwiring(file, client, readBackups(file.path));
  return await finish(changeOf(client, file, plan, 'nothing'), dryRun);
}

/** A wrong configuration must not keep anybody from taking gatebook out. */
async function nameWhatStays(placesOf: () => Promise<Places>): Promise<void> {
  try {
    const { dir, keysDir } = await placesOf();
    const rows = [
      ['log', dir],
      ['keys', keysDir],
      ['config', userFile(process.env)],
    ];
    const there = rows.filter(([, path]) => existsSync(path!));
    await writeStdout(
      there.map(([what, path]) => `${what!.padEnd(12)}${visible(path!)} (stays)\n`).join(''),
    );
  } catch (error) {
    process.stderr.write(describeFailure(error, false));
  }
}
