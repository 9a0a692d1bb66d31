import type { Writable } from 'node:stream';

/** The writing end of a stream that may close at any time: writing to a closed one is a no-op, not an error. */
export class Outlet {
  readonly #stream: Writable;
  readonly #gone: Promise<void>;
  #dead = false;
  #blocked = 0;

  constructor(stream: Writable) {
    this.#stream = stream;
    this.#gone = new Promise((resolve) => {
      const die = (): void => {
        this.#dead = true;
        resolve();
      };
      stream.once('error', die);
      stream.once('close', die);
      // A stream may report more than one error on its way down; none of them may end this process.
      stream.on('error', () => undefined);
    });
  }

  /** Whether nobody reads any more. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Whether what is written goes nowhere. */
  get closed(): boolean {
    return this.#dead || this.#stream.writableEnded;
  }

  /** Whether somebody waits for the reader. */
  get blocked(): boolean {
    return this.#blocked > 0;
  }

  /** Resolves when the stream broke or was closed. */
  get gone(): Promise<void> {
    return this.#gone;
  }

  /** Resolves when there is room for more, or when nobody reads any more. */
  async write(bytes: Buffer): Promise<void> {
    if (this.closed) return;
    if (this.#stream.write(bytes)) return;
    await this.#until((resolve) => {
      this.#stream.once('drain', resolve);
      return () => this.#stream.off('drain', resolve);
    });
  }

  /** Resolves when everything written was taken by the system, or nobody reads any more. */
  async flushed(): Promise<void> {
    if (this.#dead || this.#stream.writableLength === 0) return;
    await this.#until((resolve) => {
      this.#stream.write('', () => resolve());
      return () => undefined;
    });
  }

  end(): void {
    if (!this.#dead) this.#stream.end();
  }

  async #until(wait: (resolve: () => void) => () => unknown): Promise<void> {
    this.#blocked++;
    let stop: () => unknown = () => undefined;
    const ready = new Promise<void>((resolve) => {
      stop = wait(resolve);
    });
    await Promise.race([ready, this.#gone]);
    stop();
    this.#blocked--;
  }
}

const newline = Buffer.from('\n');

/** Lines of our own that may wait for the end of a piecemeal line before their writer has to wait too. */
const waitingMax = 256;

/** An outlet for two writers: what one of them passes on piece by piece, and whole lines of our own between those. */
export class LineOutlet {
  readonly #outlet: Outlet;
  #midLine = false;
  #waiting: Buffer[] = [];
  #released: (() => void)[] = [];

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** A piece of a line; `end` when it is the last one. */
  async writePart(bytes: Buffer, end: boolean): Promise<void> {
    this.#midLine = !end;
    const written = this.#outlet.write(bytes);
    if (end) await this.#release();
    await written;
  }

  /** A line of our own, with its newline; it waits while a piecemeal line is under way. */
  async writeLine(line: Buffer): Promise<void> {
    if (this.#midLine) {
      this.#waiting.push(line);
      if (this.#waiting.length < waitingMax) return;
      await new Promise<void>((resolve) => this.#released.push(resolve));
      return;
    }
    await this.#outlet.write(line);
  }

  /** After the last piece: ends an unfinished line if something still has to follow it. */
  async finish(): Promise<void> {
    if (this.#midLine && this.#waiting.length > 0) await this.#outlet.write(newline);
    this.#midLine = false;
    await this.#release();
  }

  async #release(): Promise<void> {
    const lines = this.#waiting;
    this.#waiting = [];
    for (const line of lines) await this.#outlet.write(line);
    const released = this.#released;
    this.#released = [];
    for (const resolve of released) resolve();
  }
}
