import { randomBytes } from 'node:crypto';
import type { Caller } from '@gatebook/audit';
import type { LimitSpec } from '../../limits.js';
import type { Buckets } from '../buckets.js';
import { GateError } from '../errors.js';
import { permitMs } from './calls-under-way.js';
import type { GateState } from './gate-state.js';
import type {
  Admission,
  Answer,
  Ask,
  LimitAnswer,
  Message,
  Op,
  SharedRequest,
  StateError,
} from './message.js';
import { configurationId } from './shared-limits.js';

/** Whoever holds what the gates share. */
export interface Holder {
  /** @throws GateError that was the answer; AuditError where the log does not lead there */
  ask<O extends Op>(op: O, message: Ask<O>): Promise<Answer<O>>;
}

/** Sends a message to the process that holds, and returns its answer. */
export type Consult = (message: string) => Promise<string>;

/** The holder as it is reached by messages. */
export function byMessages(consult: Consult): Holder {
  return {
    ask: async <O extends Op>(op: O, message: Ask<O>) =>
      answerIn<O>(await consult(JSON.stringify({ op, ...message }))),
  };
}

/** What is shared with nobody, where no log joins the gates: asked without a message. */
export function ownHolder(state: GateState): Holder {
  const self: Caller = { client: randomBytes(16).toString('hex'), pid: process.pid };
  return {
    ask: async <O extends Op>(op: O, message: Ask<O>) =>
      // An answer is to the message that was handled.
      (await state.handle({ op, ...message } as Message, self)) as Answer<O>,
  };
}

/** What the holder answers only where it knows the limits. */
type LimitsOp = 'admit' | 'take' | 'peek';
/** What it then answers. */
type Told<O extends LimitsOp> = Exclude<Answer<O>, { readonly unknown: true }>;

/** A request about limits on its way. */
interface Waiting {
  /** Its place in the order of the calls. */
  readonly place: number;
  readonly op: LimitsOp;
  /** All but the limits that it is about: those of the time when it is sent. */
  readonly message: object;
  /** How often the holder did not know the limits. */
  tries: number;
  readonly resolve: (answer: Answer<LimitsOp>) => void;
  readonly reject: (reason: unknown) => void;
}

/** How often a gate says which of its calls are in flight: a holder forgets those of which it has not heard for three times as long. */
const holdingMs = permitMs / 3;
/** Characters of the calls in one message, which is bounded too. */
const holdingChars = 24 * 1024;

/**
 * What one gate asks of all. Holds nothing but the limits of its own configuration, which it makes known where they are not, and what it
 * has in flight, which only it can say after the holder was killed.
 */
export class StateClient implements Buckets {
  readonly #holder: Holder;
  #spoke = false;
  #specs: readonly LimitSpec[];
  #limits: string;
  /** The limits before these, whose buckets these go on with; undefined once the holder was told. */
  #replaced: readonly LimitSpec[] | undefined;
  /** Whether the limits are being made known. */
  #isTelling = false;
  /** Who waits for that: no more than there are calls. */
  readonly #line: Waiting[] = [];
  #places = 0;
  #hasInFlight: boolean;
  /** What is in flight, by its grants. */
  readonly #calls = new Map<string, SharedRequest>();
  #timer: NodeJS.Timeout | undefined;

  constructor(holder: Holder, specs: readonly LimitSpec[]) {
    this.#holder = holder;
    this.#specs = specs;
    this.#limits = configurationId(specs);
    this.#hasInFlight = hasInFlight(specs);
  }

  get hasLimits(): boolean {
    return this.#specs.length > 0;
  }

  /** Other limits from now on; those of the same name go on with what was used, also where the holder knows them already. */
  change(specs: readonly LimitSpec[]): void {
    const next = configurationId(specs);
    if (next === this.#limits) return;
    // Of limits that the holder was not told of nothing is used.
    this.#replaced ??= this.#specs;
    if (configurationId(this.#replaced) === next) this.#replaced = undefined;
    this.#specs = specs;
    this.#limits = next;
    this.#hasInFlight = hasInFlight(specs);
    this.#speak();
  }

  async ask<O extends Op>(op: O, message: Ask<O>): Promise<Answer<O>> {
    this.#spoke = true;
    return await this.#holder.ask(op, message);
  }

  /** Says that there is a gate, where nothing else has said it. */
  async hello(): Promise<void> {
    if (!this.#spoke) await this.ask('hello', {});
  }

  /** Says that all calls of this gate have their outcomes. */
  async bye(): Promise<void> {
    if (this.#spoke) await this.ask('bye', {});
  }

  /** Takes from all limits or from none. `approval`: the one by which the call passes, used up where it was for one call. */
  async take(request: SharedRequest, approval?: string): Promise<LimitAnswer> {
    const asked = { request, ...(approval === undefined ? {} : { approval }) };
    return this.#follow(await this.#known('take', asked), request);
  }

  /** Enters a session, and where that is not stopped takes from all limits or from none. */
  async admit(entry: Ask<'enter'>, request: SharedRequest): Promise<Admission> {
    const answer = await this.#known('admit', { ...entry, request });
    if (answer.taken !== undefined) this.#follow(answer.taken, request);
    return answer;
  }

  /** What is in flight is spoken of from now on. */
  #follow(answer: LimitAnswer, request: SharedRequest): LimitAnswer {
    const { grant } = answer;
    if (grant !== undefined) {
      this.#calls.set(grant, request);
      this.#speak();
    }
    return answer;
  }

  /** Where there are limits of what is in flight, calls are spoken of while there are any. */
  #speak(): void {
    if (this.#timer !== undefined || this.#calls.size === 0 || !this.#hasInFlight) return;
    this.#timer = setInterval(() => void this.#hold(), holdingMs).unref();
  }

  async peek(request: SharedRequest): Promise<LimitAnswer> {
    return await this.#known('peek', { request });
  }

  async refund(grant: string): Promise<void> {
    this.#letGo(grant);
    await this.ask('refund', { grant });
  }

  spent(grant: string): string {
    this.#letGo(grant);
    return grant;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
  }

  #letGo(grant: string): void {
    this.#calls.delete(grant);
    if (this.#calls.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Says what is in flight; what cannot be said now is said the next time. */
  async #hold(): Promise<void> {
    for (const grants of this.#parts()) {
      await this.#holding(grants).catch(() => undefined);
    }
  }

  /** The grants of the calls in flight, as many together as go into a message. */
  #parts(): string[][] {
    const parts: string[][] = [];
    let room = 0;
    for (const [grant, request] of this.#calls) {
      const chars = JSON.stringify({ grant, request }).length;
      if (chars > room) {
        parts.push([]);
        room = holdingChars;
      }
      parts.at(-1)?.push(grant);
      room -= chars;
    }
    return parts;
  }

  async #holding(grants: readonly string[]): Promise<void> {
    const tell = async (): Promise<Answer<'holding'>> => {
      // Those that have not ended meanwhile.
      const calls = grants.flatMap((grant) => {
        const request = this.#calls.get(grant);
        return request === undefined ? [] : [{ grant, request }];
      });
      return await this.ask('holding', { limits: this.#limits, calls });
    };
    if (!('unknown' in (await tell()))) return;
    await this.ask('limits', { specs: this.#specs });
    await tell();
  }

  #known<O extends LimitsOp>(op: O, message: Omit<Ask<O>, 'limits'>): Promise<Told<O>> {
    this.#spoke = true;
    const place = this.#places++;
    return new Promise((resolve, reject) => {
      this.#send({
        ...{ place, op, message, tries: 0 },
        // An answer is to the message that was sent.
        ...{ resolve: resolve as Waiting['resolve'], reject },
      });
    });
  }

  /** Asks at once, in the order of the calls, or puts the request in line where the limits must be made known first. */
  #send(waiting: Waiting): void {
    // Without limits nothing is taken, so those before are kept for the next ones.
    const isUntold = this.#replaced !== undefined && this.hasLimits;
    if (this.#isTelling || isUntold) this.#wait(waiting);
    else void this.#request(waiting);
  }

  /** Every answer takes the same way to who waits for it, however often it was asked for: a longer way is overtaken. */
  async #request(waiting: Waiting): Promise<void> {
    try {
      const { op, message } = waiting;
      const asked = { limits: this.#limits, ...message } as Ask<LimitsOp>;
      const answer: Answer<LimitsOp> = await this.#holder.ask(op, asked);
      if (!('unknown' in answer)) waiting.resolve(answer);
      else if (++waiting.tries < registrationsMax) this.#wait(waiting);
      else {
        throw new GateError(
          'state_unavailable',
          'the holder of the limits changes too often; try again',
        );
      }
    } catch (error) {
      waiting.reject(error);
    }
  }

  #wait(waiting: Waiting): void {
    this.#line.push(waiting);
    if (this.#isTelling) return;
    this.#isTelling = true;
    void this.#tell().then(
      () => {
        for (const next of this.#leave()) this.#send(next);
      },
      (error) => {
        for (const { reject } of this.#leave()) reject(error);
      },
    );
  }

  /** Ends the telling and the line, whose order is that of the calls: nobody who comes after them is served before them. */
  #leave(): Waiting[] {
    this.#isTelling = false;
    return this.#line.splice(0).sort((a, b) => a.place - b.place);
  }

  /** Makes the limits known; those before too: the holder may have changed, and knows what is used of them by what they say. */
  async #tell(): Promise<void> {
    const limits = this.#limits;
    const specs = this.#specs;
    if (this.#replaced === undefined || !this.hasLimits) {
      await this.ask('limits', { specs });
      return;
    }
    const { id: replaces } = await this.ask('limits', { specs: this.#replaced });
    await this.ask('limits', { specs, replaces });
    // Where they have changed again, these are what the next ones replace.
    this.#replaced = limits === this.#limits ? undefined : specs;
    if (this.#hasInFlight) await this.#hold();
  }
}

function hasInFlight(specs: readonly LimitSpec[]): boolean {
  return specs.some(({ inFlight }) => inFlight !== undefined);
}

/** @throws GateError that was the answer */
function answerIn<O extends Op>(text: string): Answer<O> {
  const answer = JSON.parse(text) as Answer<O> | { readonly error: StateError };
  if (!('error' in answer)) return answer;
  const { code, message, rule } = answer.error;
  throw new GateError(code, message, { rule });
}

/** A holder that does not know the limits is told; another one that took over meanwhile again. */
const registrationsMax = 5;
