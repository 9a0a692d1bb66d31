import { readFile } from 'node:fs/promises';
import { type AuditLog, serveAuditLog } from '@gatebook/audit';
import type { Loaded } from '../config/load.js';
import { gateHook } from '../gate/state/gate-hook.js';
import { untrustedEventOf } from './config-choice.js';
import { requireLogOn, requireSigningKey } from './configured-key.js';
import { writeStdout } from './destination.js';
import { usageError } from './failure.js';
import { type KeepingFlags, keepingFrom } from './keeping-options.js';
import type { Places } from './places.js';
import { openTiles, requireSecret } from './serve-tiles.js';
import { say, warnForwardSecurity } from './talk.js';
import { visible } from './visible.js';

export interface ServeFlags extends KeepingFlags {
  readonly socket?: string;
  /** A name or an id. */
  readonly group?: string;
  readonly tokenFile?: string;
  /** Where the log is offered for reading. */
  readonly http?: { readonly host: string; readonly port: number };
  readonly prefix?: string;
  readonly json?: boolean;
}

/** `gatebook serve`: the log's writer, kept running for other processes until SIGTERM or SIGINT. */
export async function serve(places: Places, flags: ServeFlags, loaded?: Loaded): Promise<number> {
  const audit = loaded?.config.security.audit;
  const { socket: named, group, tokenFile, http, prefix } = flags;
  if (http === undefined && prefix !== undefined) throw usageError('--prefix needs --http');
  requireLogOn(audit);
  requireSigningKey(places, loaded);
  // Before the log is opened: a mistake in an option must not leave a record.
  if (http !== undefined) requireSecret(http, prefix);
  const serving = serveAuditLog({
    ...places,
    hook: gateHook(places.keysDir, { dir: places.dir, log: async () => (await serving).log }),
    ...(await keepingFrom(flags, audit)),
    ...(named === undefined ? {} : { socket: named }),
    ...(group === undefined ? {} : { socketGroup: await groupId(group) }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  });
  const { log, socket, failed } = await serving;
  const stop = stopped();
  try {
    warnForwardSecurity(log.forwardSecurity);
    const first = await untrustedEventOf(loaded);
    if (first !== undefined) await log.append(first);
    const tiles = http === undefined ? undefined : await openTiles(places.dir, http, prefix);
    try {
      await tell(flags, places, { log, socket, url: tiles?.url });
      const failure = await Promise.race([stop, failed]);
      if (failure !== undefined) throw failure;
    } finally {
      await tiles?.close();
    }
  } finally {
    await log.close();
  }
  return 0;
}

interface Serving {
  readonly log: AuditLog;
  readonly socket: string;
  readonly url: string | undefined;
}

async function tell(flags: ServeFlags, places: Places, { log, socket, url }: Serving) {
  if (flags.json === true) {
    const { origin, publicKey } = log;
    const facts = { log: places.dir, socket, pid: process.pid, origin, public_key: publicKey };
    await writeStdout(`${JSON.stringify(url === undefined ? facts : { ...facts, url })}\n`);
    return;
  }
  say(`serving ${places.dir} at ${socket}`);
  const below = flags.prefix === undefined ? '' : ' below the prefix';
  if (url !== undefined) say(`listening at ${visible(url)}${below}`);
}

/** Resolves at the first signal; a second one ends the process as it would have. */
function stopped(): Promise<undefined> {
  return new Promise((resolve) => {
    // Nothing else keeps a process alive that only waits for others.
    const alive = setInterval(() => {}, 2 ** 30);
    const stop = (): void => {
      clearInterval(alive);
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      resolve(undefined);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

/** The id of a group, given as a number or by a name in /etc/group. */
async function groupId(group: string): Promise<number> {
  if (/^\d{1,10}$/.test(group)) return Number(group);
  const text = await readFile('/etc/group', 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name === group && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  throw usageError(`--group ${group}: there is no such group in /etc/group; give its number`);
}
