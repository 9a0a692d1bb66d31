import type { Give } from './lease-returns.js';
import { type LeaseTerm, leaseMs } from './lease-term.js';
import { luaLease } from './lua-lease.js';
import { Script } from './script.js';

export const leaseScript = new Script(luaLease);

export interface LeaseReply {
  readonly nowUs: number;
  /** Units that come to what is left. */
  readonly more: number;
  /** `1` for each need that was served. */
  readonly served: string;
  /** Ms until each need that was not can be, up to the first that stays: those behind it were not looked at. */
  readonly waitsMs: readonly number[];
  readonly lacking: number;
  /** What the store counts as leased. */
  readonly units: number;
  /** What was owed and not taken. */
  readonly owed: number;
}

/** Units that the process has and wants to have; all else in tokens. */
interface Wanted {
  readonly rest: number;
  readonly want: number;
  readonly owed: number;
  readonly needs: readonly { readonly cost: number; readonly stays: boolean }[];
  readonly gives: readonly Give[];
}

/** One call of the leasing script: what it is given, and what its answer means. */
export class LeaseCall {
  readonly values: string[];
  readonly #needs: number;

  constructor(term: LeaseTerm, process: string, call: number, wanted: Wanted) {
    const { rest, want, owed, needs, gives } = wanted;
    const { perToken } = term;
    this.#needs = needs.length;
    this.values = ['l', process, ...numbersOf(term, call, rest, want, owed * perToken)];
    this.values.push(String(needs.length));
    for (const { cost, stays } of needs)
      this.values.push(String(cost * (stays ? -perToken : perToken)));
    for (const { cost, batch } of gives) {
      const mark = (batch.mark * perToken) / batch.perToken;
      this.values.push(String(cost * perToken), String(mark), String(batch.atUs));
    }
  }

  /** @throws Error for what is no answer of the script */
  read(raw: unknown): LeaseReply {
    const parts = Array.isArray(raw) ? (raw as readonly unknown[]).map(String) : [];
    const [nowUs, more, served = '', waits = '', lacking, units, owed] = parts;
    const waitsUs = waits === '' ? [] : waits.split(',').map(Number);
    const numbers = [...[nowUs, more, lacking, units, owed].map(Number), ...waitsUs];
    if (numbers.some((number) => !Number.isFinite(number)) || served.length !== this.#needs)
      throw new Error(`the store answered ${JSON.stringify(parts).slice(0, 80)} to a lease`);
    return {
      nowUs: Number(nowUs),
      more: Number(more),
      served,
      waitsMs: waitsUs.map((us) => us / 1_000),
      lacking: Number(lacking),
      units: Number(units),
      owed: Number(owed),
    };
  }
}

/** What the script is given to look at a bucket, or to make it full. */
export function bucketValues(term: LeaseTerm, what: 'p' | 'x'): string[] {
  return [what, '', ...numbersOf(term, 0, 0, 0, 0), '0'];
}

function numbersOf(
  term: LeaseTerm,
  call: number,
  rest: number,
  want: number,
  owed: number,
): string[] {
  const { burst, count, perToken, overshoot, keptMs, lackMost } = term;
  const numbers = [call, burst, count, perToken, rest, want, overshoot, leaseMs * 1_000, keptMs];
  return [...numbers, owed, lackMost].map(String);
}
