import { readdirSync, readFileSync, statSync } from 'node:fs';
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

/**
 * Returns in the moment in which the newest segment has grown, or after `patienceMs`. What was written then is mostly not
 * synced yet, and acknowledged to nobody; so it waits without giving the turn to anything else.
 */
export function afterGrowth(log: string, patienceMs: number): void {
  const until = performance.now() + patienceMs;
  const before = newestSize(log);
  while (performance.now() < until) if (newestSize(log) !== before) return;
}

function newestSize(log: string): string {
  const folder = join(log, 'segments');
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
    const newest = names.sort().at(-1) ?? '';
    return `${newest} ${statSync(join(folder, newest)).size}`;
  } catch {
    return '';
  }
}
