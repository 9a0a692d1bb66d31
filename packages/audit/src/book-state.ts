import { type ContentMode, contentModes } from './options.js';
import { keepAll, type Policy } from './retention.js';
import type { Hash } from './tree.js';

/** What the writer remembers of its own records besides the tree: kept in the head, and advanced by each of them. */
export interface BookState {
  /** The policy in force. */
  readonly retention: Policy;
  readonly content: ContentMode;
  /** How far the wall clock has jumped ahead, all jumps together, since that was last confirmed. */
  readonly aheadMs: number;
  /** The newest `log.pruned`: its seq and its leaf; null when nothing was ever deleted. */
  readonly pruned: { readonly seq: number; readonly leaf: Hash } | null;
}

export const firstState: BookState = {
  retention: keepAll,
  content: 'off',
  aheadMs: 0,
  pruned: null,
};

/** One of the log's own records. */
export interface OwnRecord {
  readonly type: string;
  readonly seq: number;
  readonly leaf: Hash;
  readonly details: Readonly<Record<string, unknown>>;
}

export function advanceState(state: BookState, record: OwnRecord): BookState {
  const { type, seq, leaf, details } = record;
  if (type === 'log.opened') {
    const content = contentFrom(details['content']);
    return { ...state, retention: details['retention'] as Policy, content };
  }
  if (type === 'log.clock_jump') {
    return { ...state, aheadMs: state.aheadMs + aheadOf(details['jump_ms']) };
  }
  if (type === 'log.clock_confirmed') return { ...state, aheadMs: 0 };
  if (type === 'log.pruned') return { ...state, pruned: { seq, leaf } };
  return state;
}

/** A clock set back does not make up for one that was ahead: which of them was right is not known. */
export function aheadOf(jumpMs: unknown): number {
  return typeof jumpMs === 'number' && jumpMs > 0 ? jumpMs : 0;
}

/** Where a book says nothing of content, none is kept. */
function contentFrom(value: unknown): ContentMode {
  return contentModes.find((mode) => mode === value) ?? 'off';
}

/** Reads it back; undefined when it is damaged. */
export function parseState(value: unknown): BookState | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { retention, aheadMs, pruned } = value as Record<string, unknown>;
  if (typeof retention !== 'object' || retention === null) return undefined;
  if (typeof aheadMs !== 'number') return undefined;
  const content = contentFrom((value as Record<string, unknown>)['content']);
  if (pruned === null) return { retention: retention as Policy, content, aheadMs, pruned };
  const { seq, leaf } = (pruned ?? {}) as Record<string, unknown>;
  if (typeof seq !== 'number' || typeof leaf !== 'string') return undefined;
  return { retention: retention as Policy, content, aheadMs, pruned: { seq, leaf } };
}
