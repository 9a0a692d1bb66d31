import { type AnswerFacts, keysOf } from './server-line.js';

/** How much of a member name or a scalar is looked at. */
const tokenBytesMax = 1200;

/**
 * Skims a line that is too long to be held: finds the id, whether it is a result or an error, and whether a tool
 * reported an error, in constant memory. It trusts that the line is JSON; of one that is not it may say anything.
 */
export class LongAnswer {
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Whether the token being read is a member name. */
  #expectName = false;
  #token: number[] = [];
  #tokenOpen = false;
  /** Member names on the way to here, at depths 1 and 2. */
  readonly #path: string[] = ['', '', ''];
  readonly #scalars = new Map<string, string>();
  readonly #seen = new Set<string>();
  bytes = 0;

  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    for (const c of chunk) this.#step(c);
  }

  /** The request keys this may answer, or none when it is no response. */
  keys(): readonly string[] {
    if (!this.#seen.has('result') && !this.#seen.has('error')) return [];
    const id = this.#scalars.get('id');
    if (id === undefined) return [];
    return keysOf(unquoted(id) ?? id);
  }

  facts(): AnswerFacts {
    const fault = `too long to be kept: ${this.bytes} bytes`;
    const common = { lineBytes: this.bytes, fault };
    if (this.#seen.has('error')) {
      const code = this.#scalars.get('error.code');
      const message = unquoted(this.#scalars.get('error.message') ?? '""') ?? '';
      return {
        ...common,
        status: 'error',
        success: false,
        error: `${code ?? 'error'}: ${message}`,
      };
    }
    if (unquoted(this.#scalars.get('result.resultType') ?? '') === 'input_required') {
      return { ...common, status: 'input_required', success: true };
    }
    if (this.#scalars.get('result.isError') === 'true') {
      return { ...common, status: 'error', success: false, error: 'the tool reported an error' };
    }
    return { ...common, status: 'ok', success: true };
  }

  #step(c: number): void {
    if (this.#inString) {
      this.#keep(c);
      if (this.#escaped) this.#escaped = false;
      else if (c === 0x5c) this.#escaped = true;
      else if (c === 0x22) this.#inString = false;
      return;
    }
    switch (c) {
      case 0x22:
        this.#inString = true;
        this.#open();
        this.#keep(c);
        return;
      case 0x7b:
      case 0x5b:
        this.#tokenOpen = false;
        this.#depth++;
        this.#expectName = c === 0x7b;
        if (this.#depth <= 2) this.#path[this.#depth] = '';
        return;
      case 0x3a:
        this.#name();
        return;
      case 0x2c:
        this.#value();
        this.#expectName = true;
        return;
      case 0x7d:
      case 0x5d:
        this.#value();
        this.#depth--;
        return;
      case 0x20:
      case 0x09:
      case 0x0d:
      case 0x0a:
        return;
      default:
        if (!this.#tokenOpen) this.#open();
        this.#keep(c);
    }
  }

  #open(): void {
    this.#token = [];
    this.#tokenOpen = this.#depth === 1 || this.#depth === 2;
  }

  #keep(c: number): void {
    if (this.#tokenOpen && this.#token.length < tokenBytesMax) this.#token.push(c);
  }

  #name(): void {
    if (!this.#expectName || !this.#tokenOpen || this.#depth < 1 || this.#depth > 2) return;
    const name = unquoted(Buffer.from(this.#token).toString('utf8')) ?? '';
    this.#path[this.#depth] = name;
    if (this.#depth === 1) this.#seen.add(name);
    this.#tokenOpen = false;
    this.#expectName = false;
  }

  #value(): void {
    if (!this.#tokenOpen || this.#depth < 1 || this.#depth > 2) return;
    const path = this.#depth === 1 ? this.#path[1]! : `${this.#path[1]}.${this.#path[2]}`;
    if (wanted.has(path)) this.#scalars.set(path, Buffer.from(this.#token).toString('utf8'));
    this.#tokenOpen = false;
  }
}

const wanted: ReadonlySet<string> = new Set([
  'id',
  'result.isError',
  'result.resultType',
  'error.code',
  'error.message',
]);

function unquoted(token: string): string | undefined {
  try {
    const value: unknown = JSON.parse(token);
    return typeof value === 'string' ? value.toWellFormed() : undefined;
  } catch {
    return undefined;
  }
}
