import {
  AuditError,
  checkProof,
  checkTallyProof,
  isTallyProof,
  readPublicKeyFile,
  type TlogPolicy,
} from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { CliError, reasonOf, usageError } from './failure.js';
import { readNamedFile } from './log-folder.js';
import { readPolicy } from './outside-options.js';
import { viewOf } from './record-view.js';
import { count, counted } from './talk.js';
import { visible } from './visible.js';

/** `gatebook audit check-proof`: needs the proof and a public key, no log. */
export async function checkProofFile(
  file: string,
  keyFiles: readonly string[],
  policyFile: string | undefined,
): Promise<number> {
  const text = await readNamedFile('the proof', file);
  const keys = await readKeyFiles(keyFiles);
  const policy = policyFile === undefined ? undefined : await readPolicy(policyFile);
  try {
    await writeStdout(
      isTallyProof(text) ? tallyText(text, keys, policy) : recordText(text, keys, policy),
    );
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    throw new CliError(1, `bad proof: ${file}: ${error.message}`, { cause: error });
  }
  return 0;
}

function recordText(text: string, keys: readonly string[], policy: TlogPolicy | undefined): string {
  const proof = checkProof(text, keys, policy);
  const view = viewOf(proof.record);
  const { witnessedMs } = proof;
  const witnessed =
    witnessedMs === undefined ? '' : `, witnessed as of ${new Date(witnessedMs).toISOString()}`;
  return [
    `ok: record ${count(proof.index)} is in the log ${visible(proof.origin)} at size ${count(proof.size)}${witnessed}`,
    `event ${visible(view.text('event_id') ?? '')}  ${visible(view.eventType)}  ${visible(view.timestamp)}`,
    proof.line,
    '',
  ].join('\n');
}

function tallyText(text: string, keys: readonly string[], policy: TlogPolicy | undefined): string {
  const proof = checkTallyProof(text, keys, policy);
  const value = proof.value === null ? 'none' : JSON.stringify(proof.value);
  return [
    `ok: of the records ${count(proof.firstSeq)} to ${count(proof.lastSeq - 1)} in the log ${visible(proof.origin)}, ${counted(proof.count, 'record has', 'records have')} ${proof.dimension} ${visible(value)}`,
    `their timestamps: ${visible(proof.firstTimestamp)} to ${visible(proof.lastTimestamp)}; sealed by record ${count(proof.lastSeq)}, signed at size ${count(proof.size)}`,
    '',
  ].join('\n');
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
