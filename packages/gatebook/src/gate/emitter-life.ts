import * as fs from 'node:fs';

/** A clock may have been set a little between a process's start and its records. */
const slackMs = 1_000;
/** What proc(5) counts the start of a process in: sysconf(_SC_CLK_TCK), 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/**
 * Whether the process that stands as `pid:N` in a record of that time has gone: there is none of that id, or one that began later.
 * Where that cannot be told (no `/proc`, somebody else's name), it is taken to live.
 */
export function hasGone(emitter: string, timestamp: string, proc = '/proc'): boolean {
  const pid = /^pid:([1-9]\d{0,9})$/.exec(emitter)?.[1];
  if (pid === undefined) return false;
  const uptime = textOf(`${proc}/uptime`);
  if (uptime === undefined) return false;
  const stat = textOf(`${proc}/${pid}/stat`);
  if (stat === undefined) return true;
  // proc_pid_stat(5): the name is in parentheses and may hold any character; then the state, and as the 22nd field the start.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return true;
  const aliveS = Number.parseFloat(uptime) - Number(fields[19]) / ticksPerSecond;
  const beganMs = Date.now() - aliveS * 1_000;
  return beganMs > Date.parse(timestamp) + slackMs;
}

function textOf(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
