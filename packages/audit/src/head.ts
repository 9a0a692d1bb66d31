import { type BookState, firstState, parseState } from './book-state.js';
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
  /** The tree before that segment's first record, largest subtree first. */
  readonly before: readonly Hash[];
  /** When that segment's first record was written, by the writer's clock. */
  readonly began: string;
  /** Lines and bytes of its tally when this head was made, at most. */
  readonly tallyLines: number;
  readonly tallyBytes: number;
  /** Of all lines up to `size`, newlines included. */
  readonly bytes: number;
  readonly state: BookState;
  /** When this head was made, by the wall clock, and since which start of the machine. */
  readonly wallMs: number;
  readonly boot: { readonly id: string; readonly ms: number } | null;
  /** Of the record before `size`. */
  readonly timestamp: string;
  /** The signed note. */
  readonly checkpoint: string;
}

/** What a head remembers of the segment that holds the last record, and where in it that record ends. */
export type HeadPlace = Pick<
  Head,
  'segment' | 'offset' | 'before' | 'began' | 'tallyLines' | 'tallyBytes'
>;

export function placeOf(head: HeadPlace): HeadPlace {
  const { segment, offset, before, began, tallyLines, tallyBytes } = head;
  return { segment, offset, before, began, tallyLines, tallyBytes };
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
    before: [],
    began: '',
    tallyLines: 0,
    tallyBytes: 0,
    bytes: 0,
    state: firstState,
    wallMs: 0,
    boot: null,
    timestamp: '',
    checkpoint: '',
  };
}

export function formatHead(head: Head): string {
  const toBase64 = (hash: Hash): string => Buffer.from(hash, 'hex').toString('base64');
  return `${JSON.stringify({ ...head, root: toBase64(head.root), frontier: head.frontier.map(toBase64), before: head.before.map(toBase64) })}\n`;
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
  const hashes = (name: string): Hash[] => {
    const item = value[name];
    if (!Array.isArray(item)) throw damaged(`${name} is missing`);
    return item.map(toHex);
  };
  const frontier = hashes('frontier');
  const state = parseState(value['state']);
  if (state === undefined) throw damaged('state is missing');
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
    before: hashes('before'),
    began: string('began'),
    tallyLines: integer('tallyLines'),
    tallyBytes: integer('tallyBytes'),
    bytes: integer('bytes'),
    state,
    wallMs: integer('wallMs'),
    boot: parseBoot(value['boot']),
    timestamp: string('timestamp'),
    checkpoint: string('checkpoint'),
  };
  let root: Hash;
  try {
    root = Frontier.from(head.size, frontier).root();
    Frontier.from(head.segment, head.before);
  } catch (error) {
    throw damaged(String(error));
  }
  if (root !== head.root) throw damaged('its frontier does not give its root');
  return head;
}

function parseBoot(value: unknown): Head['boot'] {
  if (typeof value !== 'object' || value === null) return null;
  const { id, ms } = value as { id?: unknown; ms?: unknown };
  return typeof id === 'string' && typeof ms === 'number' ? { id, ms } : null;
}
