import { resolve } from 'node:path';
import { faultText } from '../config/fault.js';
import { readConfigFile } from '../config/files.js';
import { importConfig } from '../config/import.js';
import { writeStdout } from './destination.js';
import { usageError } from './failure.js';
import { counted, say } from './talk.js';

/** `gatebook config import FILE`: a gatebook.toml on stdout, and on stderr what is not in it, and why. */
export async function importFile(named: string): Promise<number> {
  const file = resolve(named);
  const bytes = readConfigFile(file);
  if (bytes === undefined) throw usageError(`${named}: there is no such file`);
  const { toml, skipped } = importConfig(file, bytes);
  await writeStdout(toml);
  for (const fault of skipped) say(faultText(fault));
  if (skipped.length > 0)
    say(`${counted(skipped.length, 'key or section', 'keys or sections')} left out`);
  return 0;
}
