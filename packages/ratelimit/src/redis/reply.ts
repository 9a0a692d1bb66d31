import type { Decision } from '../decision.js';
import type { Reason } from '../meter.js';
import type { Ask } from './ask.js';

/** What the store said of a request. */
export interface Reply {
  readonly code: 'refused' | 'granted' | 'booked' | 'conflict' | 'given_up' | 'blocks' | 'period';
  /** The server's time, in µs. */
  readonly nowUs: number;
  /** Of each limit: what it lacks or has used after what was taken, as a mark to give it back by. */
  readonly marks: readonly number[];
  /** µs until it fits; -1 where nobody can tell, -2 where nothing was taken in the shadow. */
  readonly waits: readonly number[];
  /** µs that the key is blocked. */
  readonly blocks: readonly number[];
}

const codes = ['refused', 'granted', 'conflict', 'given_up', 'booked'] as const;
const millionths = 1_000_000;

/** Reads what a taking script answered. @throws Error for what is none of its answers */
export function replyOf(raw: unknown, { terms }: Ask, asked: 'plain' | 'general'): Reply {
  if (!Array.isArray(raw) || raw.length === 0) throw unlike(raw);
  const values = (raw as readonly unknown[]).map(Number);
  const [code = Number.NaN, nowUs = 0] = values;
  const none = { nowUs, marks: [], waits: [], blocks: [] };
  if (code === 9) return { code: 'blocks', ...none };
  if (code === 8) return { code: 'period', ...none };
  const name = codes[code];
  if (name === undefined) throw unlike(raw);
  if (name === 'conflict' || name === 'given_up') return { code: name, ...none };
  const count = terms.length;
  if (asked === 'plain' && values.length === 2 + count)
    return {
      code: name,
      nowUs,
      marks: values.slice(2),
      waits: noWaits(count),
      blocks: noWaits(count),
    };
  if (values.length !== 2 + 3 * count) throw unlike(raw);
  const column = (at: number): number[] => terms.map((_, i) => values[2 + 3 * i + at]!);
  return { code: name, nowUs, marks: column(0), waits: column(1), blocks: column(2) };
}

function unlike(raw: unknown): Error {
  return new Error(
    `the store answered ${JSON.stringify(raw)?.slice(0, 80)}, which no script of this version does`,
  );
}

let zeros: readonly number[] = [];

function noWaits(count: number): readonly number[] {
  if (zeros.length !== count) zeros = Array.from({ length: count }, () => 0);
  return zeros;
}

export interface Judged extends Decision {
  /** Places of limits in the shadow that would have refused. */
  readonly shadowed: readonly number[];
  /** Places of limits that refuse, with the ms until they do not. */
  readonly lacking: readonly { readonly place: number; readonly ms: number }[];
  readonly place: number;
}

/** What callers are told of it. */
export function decisionOf({
  shadowed: _,
  lacking: __,
  place: ___,
  ...decision
}: Judged): Decision {
  return decision;
}

/** What the answer means: which limit decided, what is left in it, when to come again. */
export function judge(ask: Ask, reply: Reply): Judged {
  const { terms, costs } = ask;
  const isTaken = reply.code !== 'refused';
  const shadowed: number[] = [];
  const lacking: { place: number; ms: number }[] = [];
  let place = -1;
  let waitMs = 0;
  let reason: Reason = 'limit';
  let least = Number.POSITIVE_INFINITY;
  for (const [at, term] of terms.entries()) {
    const value = reply.marks[at]!;
    const left = term.max - (term.kind === 'r' ? value / term.perToken : value / millionths);
    const [ms, why] =
      isTaken && !term.shadow ? [0, 'limit' as const] : waitOf(ask, reply, at, left);
    if (term.shadow) {
      // After it was taken the marks do not tell any more whether it would have been refused.
      if (isTaken ? reply.waits[at] === -2 : ms > 0) shadowed.push(at);
      continue;
    }
    if (ms > 0) lacking.push({ place: at, ms });
    const isWorse = why === 'never' && reason !== 'never';
    if (ms > waitMs || (ms > 0 && isWorse)) {
      place = at;
      waitMs = ms;
      reason = why;
    }
    if (waitMs > 0) continue;
    const after = isTaken ? left : left - costs[at]!;
    if (after >= least && place !== -1) continue;
    least = after;
    place = at;
  }
  if (place === -1) return { ...unlimited, shadowed, lacking, place };
  const term = terms[place]!;
  const value = reply.marks[place]!;
  const left = term.max - (term.kind === 'r' ? value / term.perToken : value / millionths);
  return {
    allowed: waitMs === 0,
    by: term.name,
    remaining: Math.max(0, Math.floor(left)),
    limit: term.max,
    retryAfterMs: waitMs,
    resetMs: term.msFor(term.max - left, reply.waits[place]!),
    reason: waitMs === 0 ? undefined : reason,
    shadowed,
    lacking,
    place,
  };
}

/** The ms until one limit lets the request in, and why it does not now. */
function waitOf(ask: Ask, reply: Reply, at: number, left: number): readonly [number, Reason] {
  const term = ask.terms[at]!;
  const cost = ask.costs[at]!;
  const blockedMs = Math.ceil(reply.blocks[at]! / 1_000);
  const [ms, reason] = limitWaitOf(ask, reply, at, left);
  if (blockedMs > ms) return [blockedMs, 'blocked'];
  return [ms, ms > 0 && cost > term.max ? 'never' : reason];
}

function limitWaitOf(ask: Ask, reply: Reply, at: number, left: number): readonly [number, Reason] {
  const term = ask.terms[at]!;
  const cost = ask.costs[at]!;
  if (cost > term.max) return [Number.POSITIVE_INFINITY, 'never'];
  if (term.kind === 'r') {
    const wanted = reply.marks[at]! + cost * term.perToken - term.max * term.perToken;
    if (wanted <= 0) return [0, 'limit'];
    if (term.count === 0) return [Number.POSITIVE_INFINITY, 'limit'];
    return [Math.max(1, Math.ceil(wanted / term.count / 1_000)), 'limit'];
  }
  const waitUs = reply.waits[at]!;
  // Permits may be there and not be given out, in a store that does not know who has them.
  if (left >= cost && !(term.kind === 'c' && waitUs > 0)) return [0, 'limit'];
  return [waitUs < 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.ceil(waitUs / 1_000)), 'limit'];
}

export const unlimited: Decision = {
  allowed: true,
  by: '',
  remaining: Number.POSITIVE_INFINITY,
  limit: Number.POSITIVE_INFINITY,
  retryAfterMs: 0,
  resetMs: 0,
};
