import type { Clock } from '../clock.js';
import { RateLimitError } from '../errors.js';

const keptMs = 30_000;
const most = 10_000;

interface Recent<Answer> {
  readonly digest: string;
  readonly untilMs: number;
  readonly answer: Promise<Answer>;
}

/** What this process answered to requests with an id, for 30 s: the last 10,000 of them. */
export class RecentAnswers<Answer extends { readonly allowed: boolean }> {
  readonly #clock: Clock;
  readonly #byId = new Map<string, Recent<Answer>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** The answer to the same request, or what `ask` says now; a refusal is asked for anew. @throws RateLimitError `idempotency_conflict` */
  async of(id: string, digest: string, ask: () => Promise<Answer>): Promise<Answer> {
    const now = this.#clock.now();
    const before = this.#byId.get(id);
    if (before !== undefined && before.untilMs > now) {
      if (before.digest !== digest) {
        throw new RateLimitError(
          'idempotency_conflict',
          'another request was made with this id within the last 30 s; give each request an id of its own',
        );
      }
      return await before.answer;
    }
    this.#forget(now);
    const recent = { digest, untilMs: now + keptMs, answer: ask() };
    this.#byId.delete(id);
    this.#byId.set(id, recent);
    const isKept = await recent.answer.then(
      ({ allowed }) => allowed,
      () => false,
    );
    if (!isKept && this.#byId.get(id) === recent) this.#byId.delete(id);
    return await recent.answer;
  }

  /** The oldest are first. */
  #forget(now: number): void {
    for (const [id, { untilMs }] of this.#byId) {
      if (untilMs > now && this.#byId.size < most) return;
      this.#byId.delete(id);
    }
  }
}
