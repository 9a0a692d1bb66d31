import { homedir } from 'node:os';
import { faultText } from '../config/fault.js';
import { bytesOf, type ClientFile, readClientFile } from '../setup/client-file.js';
import { type Client, type ClientName, clientNamed, userFileOf } from '../setup/clients.js';
import { applyEdits, diffText } from '../setup/edits.js';
import type { Fate, Plan } from '../setup/plan.js';
import { backUp, replaceClientFile } from '../setup/replacing.js';
import { writeStdout } from './destination.js';
import { say } from './talk.js';
import { visible } from './visible.js';

/** What is about to be done to a client's file. */
export interface Change {
  readonly client: Client;
  readonly file: ClientFile;
  readonly plan: Plan;
  readonly keep: 'backup' | 'nothing';
}

export function clientOf(name: ClientName): Client {
  return clientNamed(name);
}

/** The user's own file of a client. */
export function ownFileOf({ name }: Client): string {
  return userFileOf(name, { platform: process.platform, home: homedir(), env: process.env });
}

/** @throws CliError where it cannot be used */
export function fileOf(client: Client, named: string | undefined): ClientFile {
  const hint =
    named === undefined
      ? `${client.title} keeps its servers there; add one to it first, or name its file with --file`
      : 'name another with --file';
  return readClientFile(named ?? ownFileOf(client), hint);
}

export function changeOf(
  client: Client,
  file: ClientFile,
  plan: Plan,
  keep: Change['keep'],
): Change {
  return { client, file, plan, keep };
}

/** Does it, or with `dryRun` prints the diff; returns 1 where a server could not be dealt with. */
export async function finish(change: Change, dryRun: boolean): Promise<number> {
  const { client, file, plan, keep } = change;
  const { edits, fates } = plan;
  const changed = edits.length > 0;
  const rows = [['client', file.name], ...fates.map((fate) => fateRow(file, fate, dryRun))];
  if (changed && !dryRun) {
    if (keep === 'backup') rows.push(['backup', backUp(file)]);
    replaceClientFile(file, bytesOf(file, applyEdits(file.text, edits)));
  }
  await writeStdout(
    rows.map(([name, value]) => `${name?.padEnd(12)}${visible(value ?? '')}\n`).join(''),
  );
  if (dryRun) await writeStdout(shown(diffText(file.name, file.text, edits)));
  else if (changed)
    say(`start ${client.title} anew, so that it starts its servers as its file says now`);
  return fates.some(({ state }) => state === 'odd' || state === 'left') ? 1 : 0;
}

/** Tabs are what such files are indented with. */
function shown(diff: string): string {
  const line = (text: string): string => text.split('\t').map(visible).join('\t');
  return diff.split('\n').map(line).join('\n');
}

function fateRow(file: ClientFile, { server, state, why = '' }: Fate, dryRun: boolean): string[] {
  const { name, place } = server;
  const fault = (message: string): string => faultText({ source: file.name, place, message });
  const is = dryRun ? 'would be' : 'is';
  const words: Readonly<Record<Fate['state'], string>> = {
    wired: `${is} behind the gate now`,
    'wired anew': `${is} behind the gate again; the gatebook in front of it was gone`,
    'already wired': 'is behind the gate already',
    unwired: `${is} started without the gate again`,
    'not wired': 'was not behind the gate',
    remote: 'not guarded, for it is reached by URL',
    odd: `not guarded, left as it is: ${fault(why)}`,
    left: `left as it is: ${fault(why)}`,
  };
  return ['server', `${name}: ${words[state]}`];
}
