import { logStatus } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { requireLog } from './log-folder.js';
import { checkpointCovering } from './newest-checkpoint.js';
import type { Places } from './places.js';

/** `gatebook audit checkpoint`: a signed note that covers every record there was at the start. */
export async function checkpoint(places: Places): Promise<number> {
  await requireLog(places.dir);
  const { records } = await logStatus({ dir: places.dir, keysDir: places.keysDir });
  await writeStdout(await checkpointCovering(places, records));
  return 0;
}
