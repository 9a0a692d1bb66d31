/**
 * A strict scan of JSON text (RFC 8259) over bytes, without building values.
 *
 * `JSON.parse` accepts doubled members and keeps the last; another parser keeps the first. Whoever must know that
 * every parser reads the same thing, a verifier of records or a gate before a server, needs to see the doubling.
 * The caller checks that the bytes are valid UTF-8 (`buffer.isUtf8`). What is scanned is one line: newlines and
 * carriage returns, which end a line for some readers, are faults even where JSON allows white space.
 */

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

export interface JsonFault {
  /** Byte offset of the fault in the buffer. */
  readonly at: number;
  readonly reason: string;
  /** Whether the text is JSON but a member stands twice in one object. */
  readonly doubled: boolean;
}

/** Called for each member of the outermost object: the key's bytes without quotes, the value's bytes, its kind. */
export type OnMember = (
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  kind: JsonKind,
) => void;

/** Deeper nesting than this is a fault: some parsers overflow their stack long before memory ends. */
export const jsonDepthMax = 512;

/** Above this many members in one object, names are compared through a set instead of one by one. */
const linearKeysMax = 24;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** 1 for the bytes that stand for themselves in a string. */
const plainInString = Uint8Array.from({ length: 256 }, (_, c) =>
  c >= 0x20 && c !== QUOTE && c !== BACKSLASH ? 1 : 0,
);

class Scanner {
  readonly #buf: Uint8Array;
  readonly #end: number;
  readonly #onMember: OnMember | undefined;
  #pos: number;
  fault: JsonFault | undefined;
  // Keys of all open objects, flat: start, end, escaped. A frame remembers where its keys begin.
  readonly #keys: number[] = [];
  #escaped = false;
  kind: JsonKind = 'null';

  constructor(buf: Uint8Array, start: number, end: number, onMember: OnMember | undefined) {
    this.#buf = buf;
    this.#pos = start;
    this.#end = end;
    this.#onMember = onMember;
  }

  run(): JsonFault | undefined {
    this.#space();
    if (!this.#value(0)) return this.fault;
    this.#space();
    if (this.#pos !== this.#end) this.#fail('text after the value');
    return this.fault;
  }

  #fail(reason: string, doubled = false): false {
    this.fault ??= { at: this.#pos, reason, doubled };
    return false;
  }

  #space(): void {
    const buf = this.#buf;
    let pos = this.#pos;
    while (pos < this.#end) {
      const c = buf[pos]!;
      if (c !== 0x20 && c !== 0x09) break;
      pos++;
    }
    this.#pos = pos;
  }

  #value(depth: number): boolean {
    if (this.#pos >= this.#end) return this.#fail('the text ends where a value should be');
    const c = this.#buf[this.#pos]!;
    if (c === QUOTE) {
      this.kind = 'string';
      return this.#string();
    }
    if (c === 0x7b) return depth >= jsonDepthMax ? this.#tooDeep() : this.#object(depth);
    if (c === 0x5b) return depth >= jsonDepthMax ? this.#tooDeep() : this.#array(depth);
    if (c === 0x74) return this.#literal('true', 'boolean');
    if (c === 0x66) return this.#literal('false', 'boolean');
    if (c === 0x6e) return this.#literal('null', 'null');
    return this.#number();
  }

  #tooDeep(): false {
    return this.#fail(`nested deeper than ${jsonDepthMax}`);
  }

  #object(depth: number): boolean {
    const frame = this.#keys.length;
    let names: Set<string> | undefined;
    this.#pos++;
    this.#space();
    if (this.#buf[this.#pos] === 0x7d && this.#pos < this.#end) {
      this.#pos++;
      this.kind = 'object';
      return true;
    }
    for (;;) {
      if (this.#pos >= this.#end || this.#buf[this.#pos] !== QUOTE) {
        return this.#fail('a member name should be here');
      }
      const keyStart = this.#pos + 1;
      if (!this.#string()) return false;
      const keyEnd = this.#pos - 1;
      names = this.#remember(frame, names, keyStart, keyEnd, this.#escaped);
      if (this.fault) return false;
      this.#space();
      if (this.#pos >= this.#end || this.#buf[this.#pos] !== 0x3a) return this.#fail('":" missing');
      this.#pos++;
      this.#space();
      const valueStart = this.#pos;
      if (!this.#value(depth + 1)) return false;
      if (depth === 0 && this.#onMember) {
        this.#onMember(keyStart, keyEnd, valueStart, this.#pos, this.kind);
      }
      this.#space();
      const c = this.#pos < this.#end ? this.#buf[this.#pos] : -1;
      this.#pos++;
      if (c === 0x7d) break;
      if (c !== 0x2c) {
        this.#pos--;
        return this.#fail('"," or "}" missing');
      }
      this.#space();
    }
    this.#keys.length = frame;
    this.kind = 'object';
    return true;
  }

  #array(depth: number): boolean {
    this.#pos++;
    this.#space();
    if (this.#buf[this.#pos] === 0x5d && this.#pos < this.#end) {
      this.#pos++;
      this.kind = 'array';
      return true;
    }
    for (;;) {
      if (!this.#value(depth + 1)) return false;
      this.#space();
      const c = this.#pos < this.#end ? this.#buf[this.#pos] : -1;
      this.#pos++;
      if (c === 0x5d) break;
      if (c !== 0x2c) {
        this.#pos--;
        return this.#fail('"," or "]" missing');
      }
      this.#space();
    }
    this.kind = 'array';
    return true;
  }

  #remember(
    frame: number,
    names: Set<string> | undefined,
    start: number,
    end: number,
    escaped: boolean,
  ): Set<string> | undefined {
    const keys = this.#keys;
    if (names === undefined && keys.length - frame >= linearKeysMax * 3) {
      names = new Set();
      for (let i = frame; i < keys.length; i += 3) names.add(this.#name(keys[i]!, keys[i + 1]!));
    }
    if (names !== undefined) {
      const name = this.#name(start, end);
      if (names.has(name)) this.#double(start, end);
      names.add(name);
      return names;
    }
    for (let i = frame; i < keys.length; i += 3) {
      if (this.#same(keys[i]!, keys[i + 1]!, keys[i + 2] === 1, start, end, escaped)) {
        this.#double(start, end);
        return undefined;
      }
    }
    keys.push(start, end, escaped ? 1 : 0);
    return undefined;
  }

  #double(start: number, end: number): void {
    this.#pos = start;
    this.#fail(`member ${JSON.stringify(this.#name(start, end).slice(0, 100))} stands twice`, true);
  }

  #same(s1: number, e1: number, esc1: boolean, s2: number, e2: number, esc2: boolean): boolean {
    if (esc1 || esc2) return this.#name(s1, e1) === this.#name(s2, e2);
    if (e1 - s1 !== e2 - s2) return false;
    const buf = this.#buf;
    for (let i = s1, j = s2; i < e1; i++, j++) if (buf[i] !== buf[j]) return false;
    return true;
  }

  #name(start: number, end: number): string {
    return memberName(this.#buf, start, end);
  }

  /** Leaves #pos behind the closing quote and says in #escaped whether there was a backslash. */
  #string(): boolean {
    const buf = this.#buf;
    const end = this.#end;
    let pos = this.#pos + 1;
    let escaped = false;
    for (;;) {
      while (pos < end && plainInString[buf[pos]!] === 1) pos++;
      if (pos >= end) break;
      const c = buf[pos]!;
      if (c === QUOTE) {
        this.#pos = pos + 1;
        this.#escaped = escaped;
        return true;
      }
      this.#pos = pos;
      if (c !== BACKSLASH) return this.#fail('a control character in a string');
      escaped = true;
      const length = escapeLength(buf, pos, end);
      if (length === 0) return this.#fail('a wrong escape in a string');
      pos += length;
    }
    this.#pos = pos;
    return this.#fail('a string without end');
  }

  #literal(word: string, kind: JsonKind): boolean {
    for (let i = 0; i < word.length; i++) {
      if (this.#pos + i >= this.#end || this.#buf[this.#pos + i] !== word.charCodeAt(i)) {
        return this.#fail('not a JSON value');
      }
    }
    this.#pos += word.length;
    this.kind = kind;
    return true;
  }

  #digits(): boolean {
    const from = this.#pos;
    while (this.#pos < this.#end && isDigit(this.#buf[this.#pos]!)) this.#pos++;
    return this.#pos > from;
  }

  #number(): boolean {
    const at = (offset: number): number =>
      this.#pos + offset < this.#end ? this.#buf[this.#pos + offset]! : -1;
    if (at(0) === 0x2d) this.#pos++;
    if (at(0) === 0x30) this.#pos++;
    else if (!this.#digits()) return this.#fail('not a JSON value');
    if (at(0) === 0x2e) {
      this.#pos++;
      if (!this.#digits()) return this.#fail('a number without digits after the point');
    }
    if (at(0) === 0x65 || at(0) === 0x45) {
      this.#pos++;
      if (at(0) === 0x2b || at(0) === 0x2d) this.#pos++;
      if (!this.#digits()) return this.#fail('a number without digits in its exponent');
    }
    this.kind = 'number';
    return true;
  }
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}

/** Length of the escape at `pos` (2 or 6), or 0 when it is none. */
function escapeLength(buf: Uint8Array, pos: number, end: number): number {
  if (pos + 1 >= end) return 0;
  const c = buf[pos + 1]!;
  // " \ / b f n r t
  if (c === 0x22 || c === 0x5c || c === 0x2f || c === 0x62 || c === 0x66) return 2;
  if (c === 0x6e || c === 0x72 || c === 0x74) return 2;
  if (c !== 0x75 || pos + 6 > end) return 0;
  for (let i = pos + 2; i < pos + 6; i++) {
    const h = buf[i]! | 0x20;
    if (!isDigit(buf[i]!) && !(h >= 0x61 && h <= 0x66)) return 0;
  }
  return 6;
}

/** A member's name, unescaped, from its bytes between the quotes. */
export function memberName(buf: Uint8Array, start: number, end: number): string {
  const raw = Buffer.from(buf.buffer, buf.byteOffset + start, end - start).toString('utf8');
  if (!raw.includes('\\')) return raw;
  const name: unknown = JSON.parse(`"${raw}"`);
  return String(name);
}

/**
 * Scans `buf[start..end)` as one JSON value. Returns undefined when it is one and no object in it, at any depth, has a
 * member twice; else the first fault. `onMember` sees the members of an outermost object as they pass.
 */
export function scanJson(
  buf: Uint8Array,
  start: number,
  end: number,
  onMember?: OnMember,
): JsonFault | undefined {
  return new Scanner(buf, start, end, onMember).run();
}

export interface JsonMember {
  readonly name: string;
  readonly kind: JsonKind;
  /** Byte range of the value in the scanned buffer. */
  readonly start: number;
  readonly end: number;
}

/** The members of one JSON object in order, or the fault that keeps it from being one. */
export function scanObject(
  buf: Uint8Array,
  start: number,
  end: number,
): { readonly members: readonly JsonMember[] } | { readonly fault: JsonFault } {
  const members: JsonMember[] = [];
  const scanner = new Scanner(buf, start, end, (keyStart, keyEnd, from, to, kind) => {
    members.push({ name: memberName(buf, keyStart, keyEnd), kind, start: from, end: to });
  });
  const fault = scanner.run();
  if (fault) return { fault };
  if (scanner.kind !== 'object') {
    return {
      fault: { at: start, reason: `a JSON ${scanner.kind}, not an object`, doubled: false },
    };
  }
  return { members };
}
