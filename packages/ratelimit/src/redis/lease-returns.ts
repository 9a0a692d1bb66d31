/** The call that tokens came with: by its mark and its time they are given back. */
export interface Batch {
  readonly mark: number;
  readonly atUs: number;
  readonly perToken: number;
}

export interface Give {
  cost: number;
  readonly batch: Batch;
}

export interface Debt {
  readonly cost: number;
  /** What was not taken, or nothing where the store was away: it is asked again later. */
  done(left: number | undefined): void;
}

/** Batches with something to give back; of what comes then the oldest is kept, and what is dropped stays spent. */
const givesMost = 64;
const owedMost = 10_000;

/** What goes back to the store, or is owed to it, with the next calls. */
export class LeaseReturns {
  #gives: Give[] = [];
  readonly #owed: Debt[] = [];

  get hasGives(): boolean {
    return this.#gives.length > 0;
  }

  get hasDebts(): boolean {
    return this.#owed.length > 0;
  }

  give(cost: number, batch: Batch): void {
    const same = this.#gives.find((give) => give.batch === batch);
    if (same !== undefined) same.cost += cost;
    else if (this.#gives.length < givesMost) this.#gives.push({ cost, batch });
  }

  /** Resolves with what was not taken. One of too many is not taken at all. */
  owe(cost: number): Promise<number | undefined> {
    if (this.#owed.length >= owedMost) return Promise.resolve(cost);
    return new Promise((done) => {
      this.#owed.push({ cost, done });
    });
  }

  /** What goes with a call: one debt, so that what is not taken of it is known. */
  next(): { readonly gives: readonly Give[]; readonly debt: Debt | undefined } {
    return { gives: this.#gives.splice(0), debt: this.#owed.shift() };
  }

  /** The call failed. What may have been given back is not given back again; what may have been taken is taken again. */
  failed(gives: readonly Give[], debt: Debt | undefined, isUnknown: boolean): void {
    if (!isUnknown) this.#gives.unshift(...gives);
    if (debt === undefined) return;
    this.#owed.unshift({ cost: debt.cost, done: () => {} });
    debt.done(undefined);
  }

  /** Nothing is asked any more. */
  close(): void {
    for (const debt of this.#owed.splice(0)) debt.done(undefined);
  }
}
