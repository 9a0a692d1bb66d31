import { EventEmitter, once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';

interface Waiting {
  readonly bytes: number;
  /** Undefined until it is known what became of the line. */
  text: string | undefined;
}

export interface AcknowledgementBounds {
  readonly linesMax: number;
  readonly bytesMax: number;
}

/**
 * Acknowledgements leave in the order of the lines, each as soon as it and all before it are known. What became known
 * in one turn leaves in one write.
 */
export class Acknowledgements {
  readonly #bounds: AcknowledgementBounds;
  readonly #write: (text: string) => Promise<void>;
  readonly #changes = new EventEmitter();
  #queue: Waiting[] = [];
  #bytes = 0;
  #writing = false;
  #failure: unknown;

  constructor(bounds: AcknowledgementBounds, write: (text: string) => Promise<void>) {
    this.#bounds = bounds;
    this.#write = write;
  }

  /** What kept an acknowledgement from being written; from then on none is. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Takes a place in the order; the returned function is called once with the line to print. Waits while too many wait. */
  async place(bytes: number): Promise<(text: string) => void> {
    while (this.#full()) await once(this.#changes, 'left');
    const waiting: Waiting = { bytes, text: undefined };
    this.#queue.push(waiting);
    this.#bytes += bytes;
    return (text) => {
      waiting.text = text;
      this.#start();
    };
  }

  /** Resolves when all have left. */
  async settled(): Promise<void> {
    while (this.#queue.length > 0 || this.#writing) await once(this.#changes, 'left');
  }

  #full(): boolean {
    const { linesMax, bytesMax } = this.#bounds;
    return this.#queue.length >= linesMax || (this.#queue.length > 0 && this.#bytes >= bytesMax);
  }

  #start(): void {
    if (this.#writing) return;
    this.#writing = true;
    void this.#run();
  }

  /** Runs while the first in the queue is known. */
  async #run(): Promise<void> {
    await nextTurn();
    for (;;) {
      const text = this.#take();
      if (text === '') break;
      try {
        if (this.#failure === undefined) await this.#write(text);
      } catch (error) {
        this.#failure = error;
      }
      this.#changes.emit('left');
    }
    this.#writing = false;
    this.#changes.emit('left');
  }

  #take(): string {
    let text = '';
    let taken = 0;
    for (const waiting of this.#queue) {
      if (waiting.text === undefined) break;
      text += waiting.text;
      this.#bytes -= waiting.bytes;
      taken++;
    }
    if (taken > 0) this.#queue = this.#queue.slice(taken);
    return text;
  }
}
