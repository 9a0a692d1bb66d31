/** Counts what was given back in a limiter, so that it is known of whatever was taken whether it was so before or since. */
export class Order {
  #made = 0;

  /** How often something was given back so far. */
  get made(): number {
    return this.#made;
  }

  /** Numbers one more, from 0. */
  next(): number {
    return this.#made++;
  }
}
