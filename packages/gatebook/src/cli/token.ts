import { open } from 'node:fs/promises';
import { newToken } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { reasonOf, usageError } from './failure.js';

/** `gatebook token`: a new token for an emitter. The file gets its hash; the token itself is only printed. */
export async function token(emitter: string, tokenFile: string): Promise<number> {
  const made = newToken(emitter);
  const handle = await open(tokenFile, 'a+', 0o600).catch((error: unknown) => {
    throw usageError(`--token-file ${tokenFile} cannot be written: ${reasonOf(error)}`, error);
  });
  try {
    await handle.appendFile(made.line);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await writeStdout(`${made.token}\n`);
  return 0;
}
