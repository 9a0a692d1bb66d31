import { type Checkpoint, type Note, parseCheckpointText, parseNote } from './checkpoint.js';
import { AuditError } from './errors.js';
import type { Hash } from './tree.js';

/** The body of a witness's `add-checkpoint` call: c2sp.org/tlog-witness. */

/** The client must not send more consistency proof lines. */
export const proofHashesMax = 63;

export interface AddCheckpoint {
  readonly oldSize: number;
  readonly proof: readonly Hash[];
  readonly note: Note;
  readonly checkpoint: Checkpoint;
}

export function formatAddCheckpoint(
  oldSize: number,
  proof: readonly Hash[],
  note: string | Uint8Array,
): Buffer {
  const hashes = proof.map((hash) => `${Buffer.from(hash, 'hex').toString('base64')}\n`).join('');
  return Buffer.concat([Buffer.from(`old ${oldSize}\n${hashes}\n`), Buffer.from(note)]);
}

/** Reads a request's body. Throws `bad_checkpoint` saying what is wrong with it. */
export function parseAddCheckpoint(body: Buffer): AddCheckpoint {
  const bad = (reason: string): AuditError =>
    new AuditError('bad_checkpoint', `not an add-checkpoint request: ${reason}`);
  const split = body.indexOf('\n\n');
  if (split < 0) throw bad('there is no empty line before the checkpoint');
  const [first = '', ...lines] = body.toString('latin1', 0, split).split('\n');
  const digits = /^old (0|[1-9][0-9]*)$/.exec(first)?.[1];
  const oldSize = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(oldSize)) {
    throw bad('it does not begin with "old" and a size');
  }
  if (lines.length > proofHashesMax) throw bad(`it has more than ${proofHashesMax} hashes`);
  const proof = lines.map((line) => {
    const hash = Buffer.from(line, 'base64');
    if (hash.length !== 32 || hash.toString('base64') !== line) {
      throw bad('a proof line is not 32 bytes of base64');
    }
    return hash.toString('hex');
  });
  const note = parseNote(body.subarray(split + 2));
  return { oldSize, proof, note, checkpoint: parseCheckpointText(note.text, true) };
}
