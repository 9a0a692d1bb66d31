import type { Pruned, Removed } from './pruned-ranges.js';
import type { PreparedPrune, Pruner, PruneView } from './pruner.js';

/** Without any other occasion a running log looks this often whether something may go. */
const lookMs = 600_000;

/** When a log deletes: behind a seal and an opening, and now and then, in turns between which others write. */
export class Pruning {
  readonly #pruner: Pruner;
  #job: Generator<void, PreparedPrune | undefined> | undefined;
  #askedMs: number | undefined = 0;
  #unfinished: readonly Removed[] | undefined;

  constructor(pruner: Pruner) {
    this.#pruner = pruner;
  }

  /** There may be something to delete: look at the next turn. */
  ask(): void {
    this.#askedMs = 0;
  }

  /** When the next turn is wanted, by the monotonic clock. */
  dueMs(): number | undefined {
    return this.#job === undefined ? this.#askedMs : 0;
  }

  /** One turn; gives what is prepared when it is. A failure is forgotten until the next look. */
  turn(nowMs: number, view: () => PruneView): PreparedPrune | undefined {
    if (this.#job === undefined && (this.#askedMs === undefined || nowMs < this.#askedMs))
      return undefined;
    this.#askedMs = nowMs + lookMs;
    this.#job ??= this.#pruner.prepare(view());
    try {
      const step = this.#job.next();
      if (!step.done) return undefined;
      this.#job = undefined;
      // There may be more than one record can name.
      if (step.value !== undefined) this.ask();
      return step.value;
    } catch (error) {
      this.#job = undefined;
      throw error;
    }
  }

  /** All turns at once. */
  run(view: PruneView): PreparedPrune | undefined {
    this.#job = undefined;
    const job = this.#pruner.prepare(view);
    for (;;) {
      const step = job.next();
      if (step.done) return step.value;
    }
  }

  choose(view: PruneView): readonly Removed[] {
    return this.#pruner.choose(view, Number.POSITIVE_INFINITY);
  }

  /** Whether what was prepared may still go. */
  allows(prepared: PreparedPrune, view: PruneView): boolean {
    const now = this.#pruner.choose(view);
    return prepared.removed.every(({ firstSeq, reason }) =>
      now.some((each) => each.firstSeq === firstSeq && each.reason === reason),
    );
  }

  /** The record is on disk: from here on the same segments are not chosen again. */
  recorded(pruned: Pruned): void {
    this.#pruner.recorded(pruned);
    this.#unfinished = pruned.removed;
  }

  /** Whether the record of a deletion is still to be signed, or what it names still to be deleted. */
  get isUnfinished(): boolean {
    return this.#unfinished !== undefined;
  }

  /** Deletes what is recorded as gone, once that is signed; gives what this was in this process. */
  finish(): readonly Removed[] {
    this.#pruner.finish();
    const removed = this.#unfinished ?? [];
    this.#unfinished = undefined;
    return removed;
  }
}
