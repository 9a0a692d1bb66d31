import { AuditError, type RunningServer, serveTiles } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { usageError } from './failure.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { visible } from './visible.js';
import { ended } from './witness.js';

export interface ServeCommand {
  readonly places: Places;
  readonly listen: { readonly host: string; readonly port: number };
  readonly prefix?: string | undefined;
}

/** Hosts that only this machine reaches. */
const loopback = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** `gatebook audit serve`: runs until SIGTERM or SIGINT. */
export async function serve({ places, listen, prefix }: ServeCommand): Promise<number> {
  await requireLog(places.dir);
  const server = await openTiles(places.dir, listen, prefix);
  const below = prefix === undefined ? '' : ' below the prefix';
  await writeStdout(`listening   ${visible(server.url)}${below}\n`);
  await ended();
  await server.close();
  return 0;
}

/** Starts to answer; a usage error when the log would be open to other hosts without a secret. */
export async function openTiles(
  dir: string,
  listen: ServeCommand['listen'],
  prefix: string | undefined,
): Promise<RunningServer> {
  requireSecret(listen, prefix);
  try {
    return await serveTiles({ dir, listen, prefix });
  } catch (error) {
    if (error instanceof AuditError && error.code === 'bad_option') {
      throw usageError(error.message, error);
    }
    throw error;
  }
}

export function requireSecret(listen: ServeCommand['listen'], prefix: string | undefined): void {
  if (prefix !== undefined || loopback.test(listen.host)) return;
  throw usageError(
    `whoever reaches ${listen.host} could read the whole log; give a secret --prefix, or listen on 127.0.0.1`,
  );
}
