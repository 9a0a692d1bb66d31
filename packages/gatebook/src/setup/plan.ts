import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { ClientFile } from './client-file.js';
import type { Client } from './clients.js';
import { applyEdits, type Edit } from './edits.js';
import type { Wired } from './launcher.js';
import { type Server, serversIn } from './servers.js';
import { rewireEdits, unwireEdits, wireEdits } from './wiring.js';

/** What becomes of one server. */
export interface Fate {
  readonly server: Server;
  readonly state:
    | 'wired'
    /** A gatebook that is gone stood in front of it. */
    | 'wired anew'
    | 'already wired'
    | 'unwired'
    | 'not wired'
    /** Reached by URL: nothing can be put in front of it. */
    | 'remote'
    /** Not as any client would have it, so that nobody can say what stands there. */
    | 'odd'
    /** It could not be undone. */
    | 'left';
  readonly why?: string;
}

export interface Plan {
  readonly fates: readonly Fate[];
  readonly edits: readonly Edit[];
}

/** How every server that the client starts is put behind the gate. */
export function planWiring(file: ClientFile, client: Client, front: readonly string[]): Plan {
  return planned(file, client, (server) => {
    const { what } = server;
    if (what.kind === 'remote') return [{ server, state: 'remote' }, []];
    if (what.kind === 'odd') return [{ server, state: 'odd', why: what.why }, []];
    const { wired } = what;
    if (wired === undefined) return [{ server, state: 'wired' }, wireEdits(file.text, what, front)];
    const stale = wired.server.length > 0 && isGone(wired);
    if (!stale) return [{ server, state: 'already wired' }, []];
    return [{ server, state: 'wired anew' }, rewireEdits(file.text, what, wired, front)];
  });
}

/** Whether a file that starts the gate is not there any more. */
export function isGone({ files }: Wired): boolean {
  return files.some((path) => isAbsolute(path) && !existsSync(path));
}

/** How every server is started without the gate again; `backups` tell how entries were written before. */
export function planUnwiring(
  file: ClientFile,
  client: Client,
  backups: readonly ClientFile[],
): Plan {
  return planned(file, client, (server) => {
    const { what } = server;
    if (what.kind !== 'started' || what.wired === undefined) {
      return [{ server, state: 'not wired' }, []];
    }
    const { wired } = what;
    if (wired.server.length === 0) {
      const why = 'it is not to be seen where its own command begins; take gatebook out by hand';
      return [{ server, state: 'left', why }, []];
    }
    const before = entryBefore(file, server, wired, client, backups);
    const { offset, length } = server.node;
    const edits =
      before === undefined
        ? unwireEdits(file.text, what, wired)
        : [{ offset, length, text: before }];
    return [{ server, state: 'unwired' }, edits];
  });
}

function planned(
  file: ClientFile,
  client: Client,
  decide: (server: Server) => [Fate, readonly Edit[]],
): Plan {
  const decided = serversIn(file, client.tables).map(decide);
  return { fates: decided.map(([fate]) => fate), edits: decided.flatMap(([, edits]) => edits) };
}

/**
 * The text of an entry as it was before it was wired, where wiring it would give just what is there now; so what was edited since is
 * never lost.
 */
function entryBefore(
  file: ClientFile,
  server: Server,
  wired: Wired,
  client: Client,
  backups: readonly ClientFile[],
): string | undefined {
  const now = entryText(file.text, server);
  for (const backup of backups) {
    for (const old of serversIn(backup, client.tables)) {
      if (old.name !== server.name || old.what.kind !== 'started') continue;
      const text = entryText(backup.text, old);
      const shifted = wireEdits(backup.text, old.what, wired.front).map((edit) => ({
        ...edit,
        offset: edit.offset - old.node.offset,
      }));
      if (applyEdits(text, shifted) === now) return text;
    }
  }
  return undefined;
}

function entryText(text: string, { node }: Server): string {
  return text.slice(node.offset, node.offset + node.length);
}
