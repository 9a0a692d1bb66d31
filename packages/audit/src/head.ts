import { firstPrevHash } from './chain.js';
import { AuditError } from './errors.js';
import { emptyRoot, Frontier, type Hash } from './tree.js';

/** The writer's own memory of the last checkpoint it made, durable before the checkpoint is; docs/format.md §7. */
export interface Head {
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
  /** Largest subtree first. */
  readonly frontier: readonly Hash[];
  /** Epoch of the record at `size`. */
  readonly epoch: number;
  /** Leaf hash and `hash` member of the record before `size`. */
  readonly leaf: Hash;
  readonly hash: Hash;
  /** First seq of the segment that holds the record before `size`, and the byte behind that record. */
  readonly segment: number;
  readonly offset: number;
  /** Of the record before `size`. */
  readonly timestamp: string;
  /** The signed note. */
  readonly checkpoint: string;
}

export function emptyHead(origin: string): Head {
  return {
    origin,
    size: 0,
    root: emptyRoot,
    frontier: [],
    epoch: 0,
    leaf: '',
    hash: firstPrevHash,
    segment: 0,
    offset: 0,
    timestamp: '',
    checkpoint: '',
  };
}

export function formatHead(head: Head): string {
  const toBase64 = (hash: Hash): string => Buffer.from(hash, 'hex').toString('base64');
  return `${JSON.stringify({ ...head, root: toBase64(head.root), frontier: head.frontier.map(toBase64) })}\n`;
}

/** Reads a head and checks that its frontier gives its root. Throws `log_damaged`. */
export function parseHead(text: string): Head {
  const damaged = (reason: string): AuditError =>
    new AuditError('log_damaged', `the head in the keys folder is damaged: ${reason}`);
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw damaged(`it is not JSON (${String(error)})`);
  }
  if (typeof value !== 'object' || value === null) throw damaged('it is no object');
  const string = (name: string): string => {
    const item = value[name];
    if (typeof item !== 'string') throw damaged(`${name} is missing`);
    return item;
  };
  const integer = (name: string): number => {
    const item = value[name];
    if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0)
      throw damaged(`${name} is missing`);
    return item;
  };
  const toHex = (item: unknown): Hash => Buffer.from(String(item), 'base64').toString('hex');
  const frontier = Array.isArray(value['frontier']) ? value['frontier'].map(toHex) : [];
  const head: Head = {
    origin: string('origin'),
    size: integer('size'),
    root: toHex(string('root')),
    frontier,
    epoch: integer('epoch'),
    leaf: string('leaf'),
    hash: string('hash'),
    segment: integer('segment'),
    offset: integer('offset'),
    timestamp: string('timestamp'),
    checkpoint: string('checkpoint'),
  };
  let root: Hash;
  try {
    root = Frontier.from(head.size, frontier).root();
  } catch (error) {
    throw damaged(String(error));
  }
  if (root !== head.root) throw damaged('its frontier does not give its root');
  return head;
}
