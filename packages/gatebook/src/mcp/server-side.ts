import { lineBytesMax, unexpectedMax } from './bounds.js';
import type { Answered, Calls } from './calls.js';
import { ownIdPrefix } from './elicitation.js';
import { type LinePart, LineSplitter } from './line-splitter.js';
import { LongAnswer } from './long-answer.js';
import type { Outcomes } from './outcomes.js';
import type { LineOutlet, Outlet } from './outlet.js';
import { droppedEvent, errorLine, unexpectedEvent } from './refusals.js';
import { readFacts, readServerLine } from './server-line.js';
import type { Session } from './session.js';
import { mayHoldTools } from './tool-list.js';
import type { ToolPins } from './tool-pins.js';

export interface ServerSideOptions {
  readonly session: Session;
  readonly calls: Calls;
  readonly outcomes: Outcomes;
  readonly toClient: LineOutlet;
  readonly toServer: Outlet;
  readonly pins: ToolPins;
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
  #reserved = 0;
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
          if (!this.#passes(part, part.end)) continue;
          await toClient.writePart(part.bytes, part.end);
          await this.#o.outcomes.room();
        }
      }
    } finally {
      const rest = this.#splitter.rest();
      if (rest !== undefined) {
        const passes = this.#passes(rest, true);
        if (passes && rest.bytes.length > 0) await toClient.writePart(rest.bytes, false);
      }
      await toClient.finish();
    }
  }

  /** Takes note of what passes, and says whether it does. */
  #passes(part: LinePart, last: boolean): boolean {
    if (this.#long === undefined && part.start && last) return this.#wholePasses(part.bytes);
    this.#observeLong(part, last);
    return true;
  }

  #wholePasses(line: Buffer): boolean {
    const { answers, requests, plain } = readServerLine(line);
    const reserved = requests.find((id) => isOwnId(id));
    if (reserved !== undefined) {
      this.#refuse(reserved, line);
      return false;
    }
    let known = plain;
    for (const answer of answers) {
      const answered = this.#o.calls.answer(answer.keys, () => readFacts(answer));
      if (answered.expected) known = true;
      const { toolList } = answered;
      if (toolList !== undefined) this.#o.pins.listed(answer, toolList.cursor, toolList.spoiled);
      this.#settle(answered, answer.keys, line.length);
    }
    if (!known) this.#doubt(line);
    return true;
  }

  /** It answers nothing that anybody waits for; a client that reads it otherwise than we do may think that it does. */
  #doubt(line: Buffer): void {
    const { calls, pins } = this.#o;
    if (!mayHoldTools(line) || !calls.spoilToolLists()) return;
    pins.unreadable('a line that may pass for a list of tools came while one was waited for');
  }

  /** A client could take such a request for one of the gate's. Answers are not waited for, so there are only so many. */
  #refuse(id: string, line: Buffer): void {
    this.#reserved++;
    if (this.#reserved > unexpectedMax) return;
    const last = this.#reserved === unexpectedMax;
    const { session, outcomes, toServer } = this.#o;
    const reason = `a request of the server has an id that begins with "${ownIdPrefix}", as only the gate's do`;
    outcomes.record(droppedEvent(session, 'mcp.reserved_id', reason, line, last));
    const text = `gatebook did not forward this request: ${reason}`;
    void toServer.write(errorLine({ key: id, text: id }, -32600, text));
  }

  #observeLong(part: LinePart, last: boolean): void {
    this.#long ??= new LongAnswer();
    this.#long.push(part.bytes);
    if (!last) return;
    const long = this.#long;
    this.#long = undefined;
    const keys = long.keys();
    const answered = this.#o.calls.answer(keys, () => long.facts());
    const mayBeList =
      answered.toolList !== undefined || (!answered.expected && this.#o.calls.spoilToolLists());
    if (mayBeList) {
      this.#o.pins.unreadable(`a line of ${long.bytes} bytes; at most ${lineBytesMax} are read`);
    }
    this.#settle(answered, keys, long.bytes);
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

function isOwnId(text: string): boolean {
  const id: unknown = JSON.parse(text);
  return typeof id === 'string' && id.startsWith(ownIdPrefix);
}
