import { resolve } from 'node:path';
import { projectFile } from '../config/files.js';
import { readTrustable } from '../config/load.js';
import { tomlText } from '../config/toml-text.js';
import { trust } from '../config/trust.js';
import { usageError } from './failure.js';
import { say } from './talk.js';

/** `gatebook config trust [FILE]`: says what the file is trusted with, and trusts just these bytes. */
export async function trustConfig(named: string | undefined): Promise<number> {
  const file = named === undefined ? projectFile(process.cwd()) : resolve(named);
  if (file === undefined) {
    throw usageError('there is no gatebook.toml here, nor above in this repository; name a file');
  }
  const read = readTrustable(file, process.env);
  if (read === undefined) throw usageError(`${file}: there is no such file`);
  trust(process.env, file, read.bytes);
  for (const { key, value, place } of read.weakening) {
    say(`${file}:${place?.line}:${place?.column}: ${key.name} = ${tomlText(value)}`);
  }
  say(`${file} is trusted as it is now, sha256 ${read.sha256}`);
  return 0;
}
