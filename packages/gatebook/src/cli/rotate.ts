import { openLog } from '../open-log.js';
import { writeStdout } from './destination.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { warnForwardSecurity } from './talk.js';

/** `gatebook audit rotate`: seals the open segment and begins the next. */
export async function rotate(places: Places): Promise<number> {
  await requireLog(places.dir);
  const log = await openLog({ dir: places.dir, keysDir: places.keysDir });
  try {
    warnForwardSecurity(log.forwardSecurity);
    const sealed = await log.rotate();
    const name = sealed === undefined ? 'nothing' : `${String(sealed).padStart(20, '0')}.jsonl`;
    await writeStdout(`sealed ${name}\n`);
    return 0;
  } finally {
    await log.close();
  }
}
