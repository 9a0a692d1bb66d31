import { formatNote, parseNote } from './checkpoint.js';
import { type CosignerKey, parseCosignerKey } from './cosignature.js';
import { keepCosignature, type SignedCheckpoint } from './cosigned.js';
import { AuditError } from './errors.js';
import type { Sink } from './feeder.js';
import { lineSubtrees } from './proof.js';
import { MissingHash, tileSubtrees } from './tile-subtrees.js';
import {
  checkConsistency,
  consistencyProof,
  Frontier,
  type Hash,
  heightsOf,
  type SubtreeHash,
} from './tree.js';
import { addCheckpoint, type Fetch } from './witness-client.js';

/** A witness as the writer's side knows it. */
export interface WitnessAddress {
  /** Submission prefix: `https://witness.example/`. */
  readonly url: string;
  /** Verifier key of signature type 4, `name+hash+base64`. */
  readonly key: string;
}

/** A 409 says where the witness stands; somebody else may move it on in between. */
const attemptsMax = 3;

/** Collects one witness's cosignatures into the log folder. Throws `bad_key`, `bad_option`. */
export function witnessSink(
  address: WitnessAddress,
  options: {
    readonly intervalMs: number;
    readonly fetch?: Fetch | undefined;
    /** Whether the lines may be read where the tiles do not give the proof; that takes as long as the log is large. */
    readonly thorough?: boolean | undefined;
  },
): Sink {
  const key = parseCosignerKey(address.key);
  if (key.key === undefined) {
    throw new AuditError(
      'bad_key',
      `the cosignatures of ${key.name} (ML-DSA-44) cannot be checked`,
    );
  }
  checkUrl(address.url);
  let known = 0;
  const send: Sink['send'] = async (dir, signed, signal) => {
    const { note, checkpoint } = signed;
    const call = { url: address.url, fetch: options.fetch, signal };
    let alone = newestAlone(signed);
    for (let attempt = 0; attempt < attemptsMax; ) {
      if (known > checkpoint.size) throw ahead(known, checkpoint.size);
      const proof = proveFrom(dir, known, signed, options.thorough === true);
      const request = { oldSize: known, proof, note: alone?.note ?? note, key };
      const added = await addCheckpoint(call, request);
      if (added.kind === 'cosigned') {
        known = checkpoint.size;
        keepCosignature(dir, signed, added.line);
        const receipt = { heldMs: added.seconds * 1000 };
        return alone === undefined ? receipt : { ...receipt, logKey: alone.logKey };
      }
      if (added.kind === 'conflict') {
        known = added.size;
        attempt++;
      } else if (alone === undefined) throw new AuditError('witness_failed', added.reason);
      // It does not know the new key yet.
      else alone = undefined;
    }
    throw new AuditError('witness_failed', `it moved on ${attemptsMax} times while it was asked`);
  };
  return { kind: 'witness', name: key.name, intervalMs: options.intervalMs, send };
}

/**
 * While two keys of the log sign, the checkpoint with the newer one's signature alone: only a witness that knows that key
 * takes it. The older key's line stands first.
 */
function newestAlone(signed: SignedCheckpoint): { note: string; logKey: string } | undefined {
  const { text, signatures } = parseNote(Buffer.from(signed.note));
  const own = signatures.filter(({ name }) => name === signed.checkpoint.origin);
  const newest = own.at(-1);
  if (own.length < 2 || newest === undefined) return undefined;
  return { note: formatNote({ text, signatures: [newest] }), logKey: newest.hash };
}

export function checkUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
    throw new AuditError('bad_option', 'the URL of a witness or anchor must be http or https');
  }
}

function ahead(size: number, own: number): AuditError {
  return new AuditError(
    'witness_failed',
    `it has cosigned ${size} records and this log has published ${own}: records were cut off, or an older copy was put in place; run gatebook audit verify`,
  );
}

/** The consistency proof from the tree of `first` records, whose root is taken from the log itself. */
function proveFrom(
  dir: string,
  first: number,
  { checkpoint }: SignedCheckpoint,
  thorough: boolean,
): Hash[] {
  const { size, root } = checkpoint;
  const proofFrom = (subtree: SubtreeHash): Hash[] | undefined => {
    if (first === 0 || first === size) return [];
    const hashes = subtreesOf(first).map(({ height, index }) => subtree(height, index));
    const proof = consistencyProof(first, size, subtree);
    const firstRoot = Frontier.from(first, hashes).root();
    return checkConsistency(first, firstRoot, size, root, proof) ? proof : undefined;
  };
  try {
    const proof = proofFrom(tileSubtrees(dir));
    if (proof !== undefined) return proof;
  } catch (error) {
    if (!(error instanceof MissingHash)) throw error;
  }
  const proof = thorough ? proofFrom(lineSubtrees(dir, size)) : undefined;
  if (proof !== undefined) return proof;
  throw new AuditError(
    'witness_failed',
    `the tiles do not prove that the tree of ${first} records is the beginning of the one of ${size}`,
  );
}

/** The perfect subtrees that a tree of this size begins with, largest first. */
function subtreesOf(size: number): { height: number; index: number }[] {
  let start = 0;
  return heightsOf(size).map((height) => {
    const index = start / 2 ** height;
    start += 2 ** height;
    return { height, index };
  });
}

/** Of a policy's witnesses, those that can be asked. */
export function addressesOf(
  witnesses: readonly { readonly key: CosignerKey; readonly url?: string }[],
): WitnessAddress[] {
  return witnesses.flatMap(({ key, url }) =>
    url === undefined || key.key === undefined ? [] : [{ url, key: key.text }],
  );
}
