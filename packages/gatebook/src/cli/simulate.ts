import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  type Decision,
  type Grant,
  Limiter,
  type LimitRequest,
  ManualClock,
  type Refusal,
} from '@gatebook/ratelimit';
import { type LimitSpec, limitOf } from '../limits.js';
import { writeStdout } from './destination.js';
import { CliError, codeOf, reasonOf, usageError } from './failure.js';
import { LineSplitter } from './input-lines.js';
import { counted } from './talk.js';
import { visible } from './visible.js';

export interface SimulateOptions {
  readonly file: string;
  readonly json: boolean;
  readonly limits: readonly LimitSpec[];
  readonly waitMs?: number | undefined;
}

interface TimedRequest extends LimitRequest {
  readonly atMs: number;
  /** How long it is in flight. */
  readonly lastsMs: number;
}

const lineBytesMax = 1024 * 1024;
/** Decisions held back until those before them are known. */
const heldMax = 100_000;

/** `gatebook limits simulate`: the requests of a file, each at its time, and what the limits say to them. */
export async function simulate(options: SimulateOptions): Promise<number> {
  const run = new Simulation(options);
  try {
    for await (const chunk of inputOf(options.file)) await run.take(chunk as Buffer);
    await run.end();
  } catch (error) {
    const missing = codeOf(error) === 'ENOENT' || codeOf(error) === 'EISDIR';
    if (!missing) throw error;
    throw usageError(`${options.file}: ${reasonOf(error)}`, error);
  }
  process.stderr.write(run.summary());
  return 0;
}

function inputOf(file: string): Readable {
  return file === '-' ? process.stdin : createReadStream(file);
}

interface Held {
  readonly request: TimedRequest;
  decision?: Decision;
  decidedMs: number;
}

class Simulation {
  readonly #options: SimulateOptions;
  readonly #clock = new ManualClock(0, 0);
  readonly #limiter: Limiter;
  readonly #splitter = new LineSplitter(lineBytesMax);
  #held: Held[] = [];
  #allowed = 0;
  #refused = 0;

  constructor(options: SimulateOptions) {
    this.#options = options;
    this.#limiter = new Limiter({ limits: options.limits.map(limitOf), clock: this.#clock });
  }

  async take(chunk: Buffer): Promise<void> {
    for (const line of this.#splitter.push(chunk)) await this.#line(line.number, line.bytes);
  }

  async end(): Promise<void> {
    for (const line of this.#splitter.end()) await this.#line(line.number, line.bytes);
    await this.#pass(this.#options.waitMs ?? 0);
    await this.#print(true);
  }

  summary(): string {
    const refusing = this.#limiter
      .counters()
      .filter(({ refused }) => refused > 0)
      .map(({ limit, refused }) => `${refused} by ${limit}`);
    const by = refusing.length === 0 ? '' : ` (${refusing.join(', ')})`;
    return `gatebook: ${counted(this.#allowed, 'request')} allowed, ${this.#refused} refused${by}\n`;
  }

  async #line(number: number, bytes: Buffer | undefined): Promise<void> {
    if (bytes?.length === 0) return;
    const request = readRequest(bytes, number);
    if (request.atMs < this.#clock.now()) {
      throw new CliError(
        1,
        `line ${number}: at_ms ${request.atMs} is before the line above it; sort the requests by time`,
      );
    }
    await this.#pass(request.atMs - this.#clock.now());
    const held: Held = { request, decidedMs: request.atMs };
    this.#held.push(held);
    await this.#decide(held, number);
    await this.#print(this.#held.length >= heldMax);
  }

  async #decide(held: Held, number: number): Promise<void> {
    const { waitMs } = this.#options;
    const named = (error: unknown): CliError =>
      new CliError(1, `line ${number}: ${reasonOf(error)}`, { cause: error });
    if (waitMs === undefined) {
      try {
        const answer = this.#limiter.take(held.request);
        held.decision = answer;
        this.#start(answer, held.request);
      } catch (error) {
        throw named(error);
      }
      return;
    }
    let failed: CliError | undefined;
    this.#limiter.wait(held.request, { timeoutMs: waitMs }).then(
      (decision) => {
        held.decision = decision;
        held.decidedMs = this.#clock.now();
        this.#start(decision, held.request);
      },
      (error: unknown) => {
        failed = named(error);
      },
    );
    await settled();
    if (failed !== undefined) throw failed;
  }

  #start(answer: Grant | Refusal, { lastsMs }: TimedRequest): void {
    if (!answer.allowed) return;
    if (lastsMs === 0) answer.release();
    else this.#clock.wake(lastsMs, () => answer.release());
  }

  /** What is decided on the way is told before the time goes on. */
  async #pass(ms: number): Promise<void> {
    const end = this.#clock.now() + ms;
    for (
      let next = this.#clock.nextMs;
      next !== undefined && next <= end;
      next = this.#clock.nextMs
    ) {
      this.#clock.advance(next - this.#clock.now());
      await settled();
    }
    this.#clock.advance(end - this.#clock.now());
    await settled();
  }

  /** In the order of the requests; one that still waits holds back those behind it. */
  async #print(all: boolean): Promise<void> {
    const waiting = all ? -1 : this.#held.findIndex(({ decision }) => decision === undefined);
    const ready = waiting === -1 ? this.#held : this.#held.slice(0, waiting);
    this.#held = waiting === -1 ? [] : this.#held.slice(waiting);
    if (ready.length === 0) return;
    await writeStdout(ready.map((held) => this.#text(held)).join(''));
  }

  #text({ request, decision, decidedMs }: Held): string {
    if (decision === undefined) throw new CliError(1, `too many requests wait at once: ${heldMax}`);
    if (decision.allowed) this.#allowed++;
    else this.#refused++;
    const waitedMs = decidedMs - request.atMs;
    return this.#options.json
      ? jsonText(request, decision, waitedMs)
      : lineText(request, decision, waitedMs);
  }
}

/** Lets everything that was resolved be heard. */
async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

function jsonText(request: TimedRequest, decision: Decision, waitedMs: number): string {
  const { allowed, by, remaining, retryAfterMs, resetMs, reason } = decision;
  const { atMs, actor, tool } = request;
  return `${JSON.stringify({
    at_ms: atMs,
    user_id: actor,
    tool,
    allowed,
    ...{
      limit: by,
      remaining,
      retry_after_ms: finite(retryAfterMs),
      reset_ms: finite(resetMs),
      reason,
    },
    ...(waitedMs > 0 ? { waited_ms: waitedMs } : {}),
  })}\n`;
}

/** JSON has no infinity: null for never, or when nobody can tell. */
function finite(ms: number): number | null {
  return Number.isFinite(ms) ? ms : null;
}

function lineText(
  { atMs, actor, tool }: TimedRequest,
  decision: Decision,
  waitedMs: number,
): string {
  const who = [actor, tool].map((word) => (word === undefined ? '-' : visible(word))).join(' ');
  const waited = waitedMs > 0 ? ` after ${waitedMs} ms` : '';
  const { by, remaining, retryAfterMs } = decision;
  const what = decision.allowed
    ? `allowed${waited}, ${by === '' ? 'no limit' : `${remaining} left in ${by}`}`
    : `refused${waited} by ${by}${Number.isFinite(retryAfterMs) ? `, retry in ${retryAfterMs} ms` : ''}`;
  return `${String(atMs).padStart(10)} ms  ${who}  ${what}\n`;
}

function readRequest(bytes: Buffer | undefined, number: number): TimedRequest {
  const wrong = (what: string): CliError => new CliError(1, `line ${number}: ${what}`);
  if (bytes === undefined) throw wrong(`longer than ${lineBytesMax} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (error) {
    throw wrong(`no JSON: ${reasonOf(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong('no JSON object');
  const {
    at_ms: atMs,
    actor = {},
    tool,
    session_id: session,
    cost,
    lasts_ms: lastsMs = 0,
  } = value as Record<string, unknown>;
  if (typeof atMs !== 'number' || !(atMs >= 0 && atMs <= Number.MAX_SAFE_INTEGER))
    throw wrong('at_ms is no number of 0 or more');
  if (typeof lastsMs !== 'number' || !(lastsMs >= 0 && lastsMs <= Number.MAX_SAFE_INTEGER))
    throw wrong('lasts_ms is no number of 0 or more');
  if (typeof actor !== 'object' || actor === null) throw wrong('actor is no object');
  if (cost !== undefined && typeof cost !== 'number') throw wrong('cost is no number');
  const { user_id: user, channel } = actor as Record<string, unknown>;
  const words = { actor: user, channel, tool, session };
  for (const [name, word] of Object.entries(words)) {
    if (word !== undefined && typeof word !== 'string')
      throw wrong(`${name === 'actor' ? 'actor.user_id' : name} is no text`);
  }
  return {
    ...{ atMs, lastsMs, cost },
    ...(words as Pick<LimitRequest, 'actor' | 'channel' | 'tool' | 'session'>),
  };
}
