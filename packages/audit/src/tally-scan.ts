import { memberName } from './json-scan.js';

/** A value in a line: where its JSON text begins and ends; `start` is -1 where the record has none. */
export interface Span {
  start: number;
  end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What is counted of a record (docs/format.md §3.1), in the order of their names. */
export const dimensions = ['actor', 'decision', 'risk', 'tool', 'type'] as const;
export type Dimension = (typeof dimensions)[number];

const actorMembers = new Map<string, Dimension>([['user_id', 'actor']]);
const actionMembers = new Map<string, Dimension>([
  ['tool', 'tool'],
  ['risk_level', 'risk'],
  ['allowed', 'decision'],
]);

/** Finds the values of a line that are counted, without building the record. */
export class TallyScan {
  readonly timestamp: Span = { start: -1, end: -1 };
  readonly values: Readonly<Record<Dimension, Span>> = {
    actor: { start: -1, end: -1 },
    decision: { start: -1, end: -1 },
    risk: { start: -1, end: -1 },
    tool: { start: -1, end: -1 },
    type: { start: -1, end: -1 },
  };
  #buf: Uint8Array = new Uint8Array();
  #pos = 0;
  #escaped = false;

  /** Reads the line `buf[start..end)`, whose form must be good (docs/format.md §2): what was written, or has been checked. */
  read(buf: Uint8Array, start: number, end: number): void {
    const { values, timestamp } = this;
    timestamp.start = -1;
    values.actor.start = -1;
    values.decision.start = -1;
    values.risk.start = -1;
    values.tool.start = -1;
    values.type.start = -1;
    this.#buf = buf;
    this.#pos = start + 1;
    while (this.#pos < end) {
      const nameStart = this.#space() + 1;
      const nameEnd = this.#string() - 1;
      this.#space();
      this.#pos++;
      const from = this.#space();
      const first = buf[nameStart];
      const length = nameEnd - nameStart;
      // The names in front: seq timestamp event_id event_type emitter actor session_id call_id source action.
      if (first === 0x61 && length === 5) this.#section(end, actorMembers);
      else if (first === 0x61 && length === 6) {
        this.#section(end, actionMembers);
        return;
      } else {
        this.#value(end);
        if (first === 0x74 && length === 9) this.#set(timestamp, from);
        else if (first === 0x65 && length === 10) this.#set(values.type, from);
        // Behind action: result security details trace epoch.
        else if (first === 0x72 || first === 0x64 || first === 0x74) return;
        else if (first === 0x65 && length === 5) return;
      }
      this.#space();
      this.#pos++;
    }
  }

  #set(span: Span, start: number): void {
    span.start = start;
    span.end = this.#pos;
  }

  /** The members of an object that are counted. Strings count, and for the decision true and false; commitments do not. */
  #section(end: number, wanted: ReadonlyMap<string, Dimension>): void {
    const buf = this.#buf;
    this.#pos++;
    if (buf[this.#space()] === 0x7d) {
      this.#pos++;
      return;
    }
    while (this.#pos < end) {
      const nameStart = this.#space() + 1;
      const nameEnd = this.#string() - 1;
      const dimension = this.#dimension(nameStart, nameEnd, wanted);
      this.#space();
      this.#pos++;
      const from = this.#space();
      const c = buf[from];
      this.#value(end);
      const counts = dimension === 'decision' ? c === 0x74 || c === 0x66 : c === QUOTE;
      if (dimension !== undefined && counts) this.#set(this.values[dimension], from);
      const behind = buf[this.#space()];
      this.#pos++;
      if (behind === 0x7d) return;
    }
  }

  #dimension(
    start: number,
    end: number,
    wanted: ReadonlyMap<string, Dimension>,
  ): Dimension | undefined {
    const buf = this.#buf;
    if (this.#escaped) return wanted.get(memberName(buf, start, end));
    for (const [name, dimension] of wanted) {
      if (end - start === name.length && startsWith(buf, start, name)) return dimension;
    }
    return undefined;
  }

  #space(): number {
    const buf = this.#buf;
    while (buf[this.#pos] === 0x20 || buf[this.#pos] === 0x09) this.#pos++;
    return this.#pos;
  }

  /** Goes from a string's opening quote to behind its closing one. */
  #string(): number {
    const buf = this.#buf;
    let pos = this.#pos + 1;
    this.#escaped = false;
    for (let c = buf[pos]; c !== QUOTE && c !== undefined; c = buf[pos]) {
      if (c === BACKSLASH) {
        this.#escaped = true;
        pos++;
      }
      pos++;
    }
    this.#pos = pos + 1;
    return this.#pos;
  }

  #value(end: number): void {
    const buf = this.#buf;
    let depth = 0;
    do {
      const c = buf[this.#pos];
      if (c === QUOTE) this.#string();
      else if (c === 0x7b || c === 0x5b) {
        depth++;
        this.#pos++;
      } else if (c === 0x7d || c === 0x5d) {
        depth--;
        this.#pos++;
      } else if (depth > 0) this.#pos++;
      else while (this.#pos < end && !endsScalar(buf[this.#pos]!)) this.#pos++;
    } while (depth > 0 && this.#pos < end);
  }
}

function endsScalar(c: number): boolean {
  return c === 0x2c || c === 0x7d || c === 0x5d || c === 0x20 || c === 0x09;
}

function startsWith(buf: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (buf[at + i] !== name.charCodeAt(i)) return false;
  return true;
}
