/** For how long a limiter over a store goes by a refusal that it heard. */
const forMs = 1_000;

/** What was refused of late. */
export class Remembered {
  readonly #since = new Map<string, number>();

  /** Whether it was refused before, and not too long ago. */
  note(what: string, now: number): boolean {
    const since = this.#since.get(what);
    if (since !== undefined && now < since + forMs) return true;
    this.#since.set(what, now);
    return false;
  }

  clear(): void {
    this.#since.clear();
  }
}
