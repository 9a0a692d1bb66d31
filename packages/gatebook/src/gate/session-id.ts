import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { newSessionId } from '../mcp/ids.js';
import { processFacts, textOf } from './process-facts.js';

/** Processes that only start others: two servers of one client are started by two of them. */
const launchers: ReadonlySet<string> = new Set([
  ...['sh', 'bash', 'dash', 'ash', 'zsh', 'env', 'nice', 'timeout'],
  ...['npm', 'npx', 'pnpm', 'yarn', 'bunx'],
]);
const launchersMax = 8;

/**
 * The session of this process where none is named: the client that started it, by its process and when that began, so that the gates of
 * all its servers are in one. A new session for each gate where that cannot be told (systems without `/proc`, a client that has gone).
 */
export function clientSession(ppid: number = process.ppid): string {
  let pid = ppid;
  for (let steps = 0; steps < launchersMax && pid > 1; steps++) {
    const facts = processFacts(pid);
    if (facts === undefined) return newSessionId();
    if (!isLauncher(pid)) return sessionOf(pid, facts.began);
    pid = facts.parent;
  }
  const facts = processFacts(ppid);
  return facts === undefined || ppid <= 1 ? newSessionId() : sessionOf(ppid, facts.began);
}

function sessionOf(pid: number, began: string): string {
  const boot = textOf('/proc/sys/kernel/random/boot_id') ?? '';
  const digest = createHash('sha256')
    .update(JSON.stringify([boot, pid, began]))
    .digest('hex');
  return `ses_${digest.slice(0, 32)}`;
}

function isLauncher(pid: number): boolean {
  const words = textOf(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
  const [file = '', script = '', ...more] = words.map((word) => basename(word));
  // `sh` alone is somebody's shell, and a client; with a script or a line it was started for something.
  if (['sh', 'bash', 'dash', 'ash', 'zsh'].includes(file.replace(/^-/, ''))) {
    return [script, ...more].some((word) => word !== '' && !/^-i?l?$/.test(word));
  }
  if (file === 'node') return /^np[mx](-cli)?(\.js)?$/.test(script);
  return launchers.has(file) || /^np[mx] /.test(file);
}
