import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The process that the log's lock file names, or undefined while there is none. */
export function writerPid(log: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(join(log, 'lock'), 'utf8'), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Waits until another process than `before` is named; undefined after `patienceMs`. */
export async function nextWriter(
  log: string,
  before: number | undefined,
  patienceMs: number,
): Promise<number | undefined> {
  for (const until = performance.now() + patienceMs; performance.now() < until; ) {
    const pid = writerPid(log);
    if (pid !== undefined && pid !== before) return pid;
    await sleep(2);
  }
  return undefined;
}
