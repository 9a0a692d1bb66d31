import { resolve } from 'node:path';
import { checkConfigFile, loadConfig } from '../config/load.js';
import { untrustedText } from '../config/untrusted.js';
import { usageError } from './failure.js';
import { say } from './talk.js';

/** `gatebook config check [FILE]`: throws with every fault. */
export async function checkConfig(file: string | undefined): Promise<number> {
  if (file === undefined) {
    const { untrusted } = loadConfig({ env: process.env, cwd: process.cwd() });
    if (untrusted !== undefined) say(untrustedText(untrusted));
    say('the configuration is good');
    return 0;
  }
  const loaded = checkConfigFile(resolve(file));
  if (loaded === undefined) throw usageError(`${file}: there is no such file`);
  say(`${file} is good`);
  return 0;
}
