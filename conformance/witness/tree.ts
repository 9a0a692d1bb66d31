import { createHash } from 'node:crypto';
import { rootOf } from '../attacks/merkle.js';
import { type Signer, signedCheckpoint } from '../attacks/notes.js';

/** Trees of invented leaves, and the proofs between them as RFC 6962 §2.1.2 defines them. */

export interface Tree {
  readonly leaves: readonly Buffer[];
}

/** `size` leaves; those from `fork` on differ by `branch`. */
export function treeOf(size: number, fork = size, branch = ''): Tree {
  const leaf = (at: number): Buffer =>
    createHash('sha256')
      .update(at < fork ? `leaf ${at}` : `leaf ${at} of ${branch}`)
      .digest();
  return { leaves: Array.from({ length: size }, (_, at) => leaf(at)) };
}

export function checkpointOf(tree: Tree, by: Signer): string {
  const { leaves } = tree;
  return signedCheckpoint({ origin: by.name, size: leaves.length, root: rootOf(leaves) }, by);
}

/** PROOF(first, D[n]). */
export function consistency(first: number, { leaves }: Tree): Buffer[] {
  if (first === 0 || first === leaves.length) return [];
  return subProof(first, leaves, true);
}

function subProof(first: number, leaves: readonly Buffer[], whole: boolean): Buffer[] {
  if (first === leaves.length) return whole ? [] : [rootOf(leaves)];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const left = leaves.slice(0, split);
  const right = leaves.slice(split);
  return first <= split
    ? [...subProof(first, left, whole), rootOf(right)]
    : [...subProof(first - split, right, false), rootOf(left)];
}

/** The body of an `add-checkpoint` request. */
export function request(oldSize: number, proof: readonly Buffer[], note: string): string {
  return `old ${oldSize}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`;
}

/** A sound request that takes the witness from one size of a tree to the whole of it. */
export function growth(oldSize: number, tree: Tree, by: Signer): string {
  return request(oldSize, consistency(oldSize, tree), checkpointOf(tree, by));
}

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export async function post(url: string, body: string | Buffer): Promise<Reply> {
  const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body });
  return replyOf(response);
}

export async function latest(url: string, origin: string): Promise<Reply> {
  const hash = createHash('sha256').update(origin).digest('hex');
  return replyOf(await fetch(`${url}/${hash}/checkpoint`));
}

async function replyOf(response: Response): Promise<Reply> {
  const body = await response.text();
  return { status: response.status, type: response.headers.get('content-type') ?? '', body };
}
