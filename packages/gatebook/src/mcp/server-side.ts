import { lineBytesMax, unexpectedMax } from './bounds.js';
import type { Answered, Calls } from './calls.js';
import { type LinePart, LineSplitter } from './line-splitter.js';
import { LongAnswer } from './long-answer.js';
import type { Outcomes } from './outcomes.js';
import type { LineOutlet } from './outlet.js';
import { unexpectedEvent } from './refusals.js';
import { findAnswers, readFacts } from './server-line.js';
import type { Session } from './session.js';

export interface ServerSideOptions {
  readonly session: Session;
  readonly calls: Calls;
  readonly outcomes: Outcomes;
  readonly toClient: LineOutlet;
}

/**
 * Server to client: every byte passes as it came; a parsed copy feeds the log. The record of an outcome is begun
 * before the answer is passed on, and is not waited for.
 */
export class ServerSide {
  readonly #o: ServerSideOptions;
  readonly #splitter = new LineSplitter(lineBytesMax);
  #long: LongAnswer | undefined;
  #unexpected = 0;
  /** Grows with every chunk, so that others can tell whether anything still moves. */
  chunks = 0;

  constructor(options: ServerSideOptions) {
    this.#o = options;
  }

  /** Runs until the server has closed its end. */
  async run(chunks: AsyncIterable<Buffer>): Promise<void> {
    const { toClient } = this.#o;
    try {
      for await (const chunk of chunks) {
        this.chunks++;
        for (const part of this.#splitter.push(chunk)) {
          this.#observe(part, part.end);
          await toClient.writePart(part.bytes, part.end);
          await this.#o.outcomes.room();
        }
      }
    } finally {
      const rest = this.#splitter.rest();
      if (rest !== undefined) {
        this.#observe(rest, true);
        if (rest.bytes.length > 0) await toClient.writePart(rest.bytes, false);
      }
      await toClient.finish();
    }
  }

  #observe(part: LinePart, last: boolean): void {
    if (this.#long === undefined && part.start && last) {
      for (const answer of findAnswers(part.bytes)) {
        const answered = this.#o.calls.answer(answer.keys, () => readFacts(answer));
        this.#settle(answered, answer.keys, part.bytes.length);
      }
      return;
    }
    this.#long ??= new LongAnswer();
    this.#long.push(part.bytes);
    if (!last) return;
    const long = this.#long;
    this.#long = undefined;
    const keys = long.keys();
    if (keys.length === 0) return;
    this.#settle(
      this.#o.calls.answer(keys, () => long.facts()),
      keys,
      long.bytes,
    );
  }

  #settle(answered: Answered, keys: readonly string[], bytes: number): void {
    if (answered.event !== undefined) this.#o.outcomes.record(answered.event);
    if (answered.expected || keys.length === 0) return;
    this.#unexpected++;
    if (this.#unexpected > unexpectedMax) return;
    const last = this.#unexpected === unexpectedMax;
    this.#o.outcomes.record(unexpectedEvent(this.#o.session, keys, bytes, last));
  }
}
