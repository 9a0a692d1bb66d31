import { AuditError, checkProof, readPublicKeyFile } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { CliError, reasonOf, usageError } from './failure.js';
import { readNamedFile } from './log-folder.js';
import { viewOf } from './record-view.js';
import { count } from './talk.js';
import { visible } from './visible.js';

/** `gatebook audit check-proof`: needs the proof and a public key, no log. */
export async function checkProofFile(file: string, keyFiles: readonly string[]): Promise<number> {
  const text = await readNamedFile('the proof', file);
  const keys = await readKeyFiles(keyFiles);
  let proof: ReturnType<typeof checkProof>;
  try {
    proof = checkProof(text, keys);
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    throw new CliError(1, `bad proof: ${file}: ${error.message}`, { cause: error });
  }
  const view = viewOf(proof.record);
  await writeStdout(
    [
      `ok: record ${count(proof.index)} is in the log ${visible(proof.origin)} at size ${count(proof.size)}`,
      `event ${visible(view.text('event_id') ?? '')}  ${visible(view.eventType)}  ${visible(view.timestamp)}`,
      proof.line,
      '',
    ].join('\n'),
  );
  return 0;
}

/** Public keys named on the command line; one that cannot be read is a usage error. */
export async function readKeyFiles(files: readonly string[]): Promise<string[]> {
  const keys: string[] = [];
  for (const file of files) {
    try {
      keys.push(await readPublicKeyFile(file));
    } catch (error) {
      throw usageError(`--key: ${reasonOf(error)}`, error);
    }
  }
  return keys;
}
