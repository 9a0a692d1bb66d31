interface Entry<T> {
  readonly item: T;
  readonly bytes: number;
}

/** A bounded queue between one producer and one consumer. */
export class StepQueue<T> {
  readonly #itemsMax: number;
  readonly #bytesMax: number;
  #entries: Entry<T>[] = [];
  #bytes = 0;
  #ended = false;
  #wakeProducer: (() => void) | undefined;
  #wakeConsumer: (() => void) | undefined;

  constructor(itemsMax: number, bytesMax: number) {
    this.#itemsMax = itemsMax;
    this.#bytesMax = bytesMax;
  }

  /** Resolves when there is room for another item. */
  async put(item: T, bytes: number): Promise<void> {
    this.#entries.push({ item, bytes });
    this.#bytes += bytes;
    this.#wakeConsumer?.();
    while (this.#entries.length >= this.#itemsMax || this.#bytes >= this.#bytesMax) {
      await new Promise<void>((resolve) => {
        this.#wakeProducer = resolve;
      });
    }
  }

  /** The oldest item, which stays in the queue until `done`; undefined when there will be none any more. */
  async peek(): Promise<T | undefined> {
    while (this.#entries.length === 0) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wakeConsumer = resolve;
      });
    }
    return this.#entries[0]!.item;
  }

  /** Takes the oldest item away. */
  done(): void {
    const entry = this.#entries.shift();
    this.#bytes -= entry?.bytes ?? 0;
    this.#wakeProducer?.();
  }

  end(): void {
    this.#ended = true;
    this.#wakeConsumer?.();
  }
}
