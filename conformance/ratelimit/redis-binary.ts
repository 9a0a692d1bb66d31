import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { houseRoot } from '../house/root.js';

let problem: string | undefined;
let looked = false;

/** Whether there is no Redis and it cannot be installed: the suites that need it are skipped then, but never in CI. */
export function redisIsMissing(): boolean {
  if (!looked) {
    problem = install();
    looked = true;
  }
  if (problem === undefined) return false;
  if (process.env['CI'] !== undefined) throw new Error(`Redis is missing: ${problem}`);
  console.warn(`SKIPPED, since there is no Redis here: ${problem}`);
  return true;
}

function install(): string | undefined {
  const setup = spawnSync(join(houseRoot, 'conformance/ratelimit/setup'), [], {
    encoding: 'utf8',
    timeout: 300_000,
  });
  return setup.status === 0 ? undefined : (setup.error?.message ?? setup.stderr.trim());
}

/** The server's program. Debian's checker of dumps is the same file, which looks at the name it is started by. */
export function findRedis(): string {
  for (const name of ['redis-server', 'redis-check-rdb']) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      const path = join(folder, name);
      if (isProgram(path)) return path;
    }
  }
  throw new Error('there is no redis-server on the PATH; run conformance/ratelimit/setup');
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
