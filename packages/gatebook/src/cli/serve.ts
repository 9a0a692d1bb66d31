import { readFile } from 'node:fs/promises';
import { serveAuditLog } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { usageError } from './failure.js';
import { type KeepingFlags, keepingFrom } from './keeping-options.js';
import type { Places } from './places.js';
import { say, warnForwardSecurity } from './talk.js';

export interface ServeFlags extends KeepingFlags {
  readonly socket?: string;
  /** A name or an id. */
  readonly group?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** `gatebook serve`: the log's writer, kept running for other processes until SIGTERM or SIGINT. */
export async function serve(places: Places, flags: ServeFlags): Promise<number> {
  const { socket: named, group, tokenFile } = flags;
  const { log, socket, failed } = await serveAuditLog({
    ...places,
    ...keepingFrom(flags),
    ...(named === undefined ? {} : { socket: named }),
    ...(group === undefined ? {} : { socketGroup: await groupId(group) }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  });
  const stop = stopped();
  warnForwardSecurity(log.forwardSecurity);
  if (flags.json === true) {
    const { origin, publicKey } = log;
    const facts = { log: places.dir, socket, pid: process.pid, origin, public_key: publicKey };
    await writeStdout(`${JSON.stringify(facts)}\n`);
  } else say(`serving ${places.dir} at ${socket}`);
  const failure = await Promise.race([stop, failed]);
  if (failure !== undefined) throw failure;
  await log.close();
  return 0;
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
