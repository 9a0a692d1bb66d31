import { logStatus } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import type { LogChoice } from './log-choice.js';
import { requireLog } from './log-folder.js';
import { checkpointCovering, makeCheckpoint } from './newest-checkpoint.js';
import type { Places } from './places.js';

/** `gatebook audit checkpoint`: a signed note that covers every record there was at the start. */
export async function checkpoint(choice: LogChoice): Promise<number> {
  if ('socket' in choice) {
    await writeStdout(await makeCheckpoint(choice));
    return 0;
  }
  const places: Places = choice;
  await requireLog(places.dir);
  const { records } = await logStatus({ dir: places.dir, keysDir: places.keysDir });
  await writeStdout(await checkpointCovering(places, records));
  return 0;
}
