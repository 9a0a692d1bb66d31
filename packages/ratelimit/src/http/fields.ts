import { createHmac } from 'node:crypto';
import type { Decision } from '../decision.js';
import { burstOf, type Limit } from '../limit.js';
import type { LimitRequest, Scope } from '../request.js';
import { integer, nameItem, policiesOf, policyField } from './policy.js';

/** Names and values, in the order they are sent. */
export type Fields = readonly (readonly [name: string, value: string])[];

interface Told {
  readonly item: string;
  readonly scope: Scope;
  /** The ms after which a token is there, of a bucket with none, from the ms after which it is full. */
  readonly nextMs: (resetMs: number) => number;
}

/** 96 bits tell partitions apart, and do not make the field long. */
const partitionBytes = 12;

/** Writes the fields of decisions about these limits; those of limits it does not know have no policy. */
export class FieldWriter {
  readonly #policy: string | undefined;
  readonly #told: ReadonlyMap<string, Told>;
  readonly #secret: string | undefined;

  constructor(limits: readonly Limit[], partitionSecret?: string) {
    this.#policy = policyField(policiesOf(limits));
    this.#told = new Map(limits.map((limit) => [limit.name, toldOf(limit)]));
    this.#secret = partitionSecret;
  }

  /** `RateLimit` and `RateLimit-Policy`, as far as there is something to say. */
  write(decision: Decision, request: LimitRequest): Fields {
    const fields: [string, string][] = [];
    if (this.#policy !== undefined) fields.push(['RateLimit-Policy', this.#policy]);
    if (decision.by !== '') fields.push(['RateLimit', this.#limit(decision, request)]);
    return fields;
  }

  #limit(decision: Decision, request: LimitRequest): string {
    const told = this.#told.get(decision.by);
    const seconds = effectiveWindowS(decision, told);
    const window = seconds === undefined ? '' : `;t=${seconds}`;
    const key = this.#partitionKey(decision.by, told, request);
    return `${told?.item ?? nameItem(decision.by)};r=${integer(decision.remaining)}${window}${key}`;
  }

  /** Keyed, so that who sees the field cannot find out by trying which user it is about. */
  #partitionKey(name: string, told: Told | undefined, request: LimitRequest): string {
    if (this.#secret === undefined || told === undefined || told.scope.length === 0) return '';
    const members = told.scope.map((member) => request[member] ?? null);
    const hash = createHmac('sha256', this.#secret).update(JSON.stringify([name, members]));
    return `;pk=:${hash.digest().subarray(0, partitionBytes).toString('base64')}:`;
  }
}

/** The seconds to wait, rounded up, which is `t` of the refusal as well; undefined if nobody can tell, or never. */
export function retryAfterS({ retryAfterMs }: Decision): number | undefined {
  if (!Number.isFinite(retryAfterMs)) return undefined;
  return Math.max(1, integer(Math.ceil(retryAfterMs / 1_000)));
}

/** The value to send of a field that an outer middleware may have set already: the two that are lists go on after its items. */
export function fieldAfter(before: unknown, name: string, value: string): string {
  const isList = name.startsWith('RateLimit');
  if (!isList || before === undefined || before === null || before === '') return value;
  return `${Array.isArray(before) ? before.join(', ') : String(before)}, ${value}`;
}

function toldOf(limit: Limit): Told {
  const { name, scope = [] } = limit;
  const item = nameItem(name);
  if (limit.kind === 'concurrency' || limit.kind === 'quota')
    return { item, scope, nextMs: (resetMs) => resetMs };
  const { count, perMs } = limit.rate;
  const restMs = count > 0 ? ((burstOf(limit) - 1) * perMs) / count : 0;
  return { item, scope, nextMs: (resetMs) => Math.max(0, resetMs - restMs) };
}

/**
 * Of a refusal the wait; of what was let in, the time until the limit is as if unused, or, when it has just been used up, until the next
 * token: a client that keeps to the draft sends nothing until then.
 */
function effectiveWindowS(decision: Decision, told: Told | undefined): number | undefined {
  if (!decision.allowed) return retryAfterS(decision);
  const { remaining, resetMs } = decision;
  const ms = remaining < 1 && told !== undefined ? told.nextMs(resetMs) : resetMs;
  return Number.isFinite(ms) ? integer(Math.ceil(ms / 1_000)) : undefined;
}
