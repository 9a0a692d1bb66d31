import { existsSync } from 'node:fs';
import { reasonOf } from '../cli/failure.js';
import { readClientFile } from '../setup/client-file.js';
import { clientNamed, clientNames, type Host, userFileOf } from '../setup/clients.js';
import { isGone } from '../setup/plan.js';
import { type Server, serversIn } from '../setup/servers.js';
import { type Check, fail, ok, warn } from './check.js';

/** Whether the servers of the MCP clients here are behind a gate, and whether that gate is there. Only names are shown. */
export function checkClients(host: Host): Check[] {
  return clientNames.flatMap((name): Check[] => {
    const client = clientNamed(name);
    const path = userFileOf(name, host);
    const id = `client.${name}`;
    if (!existsSync(path)) return [];
    try {
      const servers = serversIn(readClientFile(path, ''), client.tables);
      return servers.length === 0 ? [] : checkServers(id, path, servers);
    } catch (error) {
      return [warn(id, `${client.title}: ${reasonOf(error)}`, 'mend the file')];
    }
  });
}

function checkServers(id: string, path: string, servers: readonly Server[]): Check[] {
  const init = `gatebook init --client ${id.slice('client.'.length)}`;
  const started = servers.filter(({ what }) => what.kind === 'started');
  const wired = started.filter(({ what }) => what.kind === 'started' && what.wired !== undefined);
  const gone = wired.filter(
    ({ what }) => what.kind === 'started' && what.wired !== undefined && isGone(what.wired),
  );
  const open = servers.filter((server) => !wired.includes(server));
  const checks: Check[] = [];
  if (gone.length > 0) {
    const what = `${path}: the gatebook in front of ${namesOf(gone)} is not there any more, so they do not start`;
    checks.push(fail(id, what, init));
  }
  if (open.length > 0) {
    const remote = open.every(({ what }) => what.kind === 'remote');
    const what = `${path}: not behind the gate: ${namesOf(open)}`;
    checks.push(warn(id, what, remote ? 'nothing can be put in front of a URL' : init));
  }
  const fine = `${path}: all of its servers are behind the gate`;
  return checks.length > 0 ? checks : [ok(id, fine)];
}

function namesOf(servers: readonly Server[]): string {
  return servers.map(({ name }) => JSON.stringify(name)).join(', ');
}
