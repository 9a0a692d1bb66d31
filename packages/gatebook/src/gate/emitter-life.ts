import { processFacts, textOf } from './process-facts.js';

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
  const facts = processFacts(pid, proc);
  if (facts === undefined || facts.state === 'Z' || facts.state === 'X') return true;
  const aliveS = Number.parseFloat(uptime) - Number(facts.began) / ticksPerSecond;
  const beganMs = Date.now() - aliveS * 1_000;
  return beganMs > Date.parse(timestamp) + slackMs;
}
