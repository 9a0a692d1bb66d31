import { onAbort } from './abort-listeners.js';
import { Blocks } from './blocks.js';
import { type Clock, systemClock } from './clock.js';
import { ConcurrencyMeter } from './concurrency-meter.js';
import type { LimitCounters } from './counters.js';
import {
  type Decision,
  type Grant,
  HeldGrant,
  heldStride,
  type Refusal,
  type Taken,
} from './decision.js';
import { RateLimitError } from './errors.js';
import { type LimitListener, plainRequest, teller } from './events.js';
import { Ids, printOf, refusedForIds } from './ids.js';
import { KeyWords } from './key-words.js';
import type { Limit } from './limit.js';
import { Line } from './line.js';
import type { Meter, Reason } from './meter.js';
import { checkLimits, meterOf, shapeOf } from './meters.js';
import { Order } from './order.js';
import type { LimitRequest } from './request.js';
import { type Reservation, type Reserved, settle } from './reservation.js';
import { readSnapshot, type Snapshot, takeSnapshot } from './snapshot.js';
import { type Barrier, Survey } from './survey.js';
import { Waiter } from './waiter.js';

export interface LimiterOptions {
  /** Of those that refuse, the one that takes longest is named. */
  readonly limits: readonly Limit[];
  /** The system's by default. */
  readonly clock?: Clock | undefined;
  /** How many may wait at once: 10,000 by default. One more is refused. */
  readonly maxWaiting?: number | undefined;
  /** How many ids it remembers for 30 s: 100,000 by default, some 60 MB. Beyond, whatever has a new id is refused. */
  readonly maxIds?: number | undefined;
  /** Called with what happens, before the call that led to it returns. What it throws changes nothing. */
  readonly onEvent?: LimitListener | undefined;
}

export interface TakeOptions {
  /**
   * Names this very request: asked again with the same within 30 s, it gets the same answer and costs nothing more. Refusals are asked anew,
   * and so is what was given back. Under the id of another request it is an error, `idempotency_conflict`. At most 256 characters.
   */
  readonly id?: string | undefined;
}

export interface WaitOptions extends TakeOptions {
  /** Ends the wait; it is rejected with the signal's reason then, and has cost nothing. */
  readonly signal?: AbortSignal | undefined;
  /** Refused at once where it cannot be ready by then; refused after so long otherwise. */
  readonly timeoutMs?: number | undefined;
}

const defaultMaxWaiting = 10_000;
const defaultMaxIds = 100_000;
const allMembers = -1;
const none: readonly Barrier[] = [];

const unlimited: Decision = {
  allowed: true,
  by: '',
  remaining: Number.POSITIVE_INFINITY,
  limit: Number.POSITIVE_INFINITY,
  retryAfterMs: 0,
  resetMs: 0,
};

/** Lets requests in, or does not: each takes from all the limits that it meets, or from none. All in memory, for one process. */
export class Limiter {
  readonly #clock: Clock;
  readonly #maxWaiting: number;
  readonly #order = new Order();
  #limits: readonly Limit[] = [];
  #meters: readonly Meter[] = [];
  readonly #key = new KeyWords();
  #survey = new Survey([], this.#key, this.#order);
  #blocks = new Blocks();
  readonly #ids: Ids;
  readonly #tell: LimitListener | undefined;
  #line: Line;
  /** What bars a request besides the limits. */
  #all: readonly Barrier[];

  /** @throws RateLimitError `bad_limit`, `duplicate_limit` */
  constructor({
    limits,
    clock = systemClock,
    maxWaiting = defaultMaxWaiting,
    maxIds = defaultMaxIds,
    onEvent,
  }: LimiterOptions) {
    this.#ids = new Ids(maxIds);
    this.#clock = clock;
    this.#maxWaiting = maxWaiting;
    this.#line = new Line(this.#survey, clock, this.#blocks);
    this.#all = [this.#blocks, this.#line];
    this.setLimits(limits);
    // The limits it begins with are no change.
    this.#tell = onEvent === undefined ? undefined : teller(onEvent);
  }

  /** Takes at once or refuses; what somebody waits for is refused too. */
  take(request: LimitRequest, options?: TakeOptions): Grant | Refusal {
    if (options?.id !== undefined) return this.#takeOnce(request, options.id);
    this.#line.settle();
    const now = this.#clock.now();
    this.#survey.look(request, now, this.#barriers);
    return this.#survey.waitMs === 0 ? this.#grant(now) : this.#refuse(now);
  }

  /** What `take` would say; takes nothing, and is not counted. */
  peek(request: LimitRequest): Decision {
    this.#line.settle();
    const now = this.#clock.now();
    this.#survey.look(request, now, this.#barriers);
    return this.#answer(now);
  }

  /**
   * Takes as soon as it may, after those who came before. Refused, not rejected, when it can never fit, cannot be ready before
   * `timeoutMs`, is not by then, or when too many wait.
   */
  async wait(request: LimitRequest, options: WaitOptions = {}): Promise<Grant | Refusal> {
    const { id, signal, timeoutMs = Number.POSITIVE_INFINITY } = options;
    signal?.throwIfAborted();
    if (id !== undefined) return await this.#waitOnce(request, id, timeoutMs, signal);
    this.#line.settle();
    const now = this.#clock.now();
    this.#survey.look(request, now, this.#barriers);
    if (this.#survey.waitMs === 0) return this.#grant(now);
    if (this.#survey.reason === 'never') return this.#refuse(now);
    if (this.#line.length >= this.#maxWaiting) return this.#refuse(now, 'waiting');
    if (timeoutMs !== Number.POSITIVE_INFINITY && this.#line.msFor(request, now) > timeoutMs)
      return this.#refuseLate(request, now);
    return await this.#waitInLine(request, timeoutMs, signal);
  }

  /**
   * Takes an estimate, to be corrected by what it turns out to cost. Estimates of all that is reserved and not settled never exceed
   * what the limits allow.
   */
  reserve(request: LimitRequest, estimate: number, { id }: TakeOptions = {}): Reserved {
    const asked = { ...request, cost: estimate };
    const print = id === undefined ? '' : printOf('reservation', asked);
    if (id !== undefined) {
      const known = this.#known(id, print);
      if (known !== undefined) return known as Reserved;
    }
    const grant = this.take(asked);
    if (!grant.allowed) return grant;
    const { by, remaining, limit, retryAfterMs, resetMs } = grant;
    let open = true;
    const reservation: Reservation = {
      allowed: true,
      by,
      remaining,
      limit,
      retryAfterMs,
      resetMs,
      settle: (actual) => {
        if (!(actual >= 0 && actual < Number.POSITIVE_INFINITY)) {
          throw new RateLimitError(
            'bad_request',
            `what it cost is ${actual}, not a number of 0 or more`,
          );
        }
        if (!open) return { overspent: 0 };
        open = false;
        this.#key.readRequest(asked, allMembers);
        const settled = settle(grant as HeldGrant, this.#key, asked, actual, this.#clock.now());
        this.#line.changed();
        return settled;
      },
      release: () => {
        if (open) grant.refund();
        open = false;
      },
    };
    if (id !== undefined) this.#ids.keep(id, print, reservation, grant, this.#clock.now());
    return reservation;
  }

  /**
   * Counts a call that was let in before this limiter was there and is still under way: takes the permits of the concurrency limits that
   * it meets, also beyond what there can be, and nothing of any other limit.
   */
  resume(request: LimitRequest): Pick<Grant, 'release'> {
    const now = this.#clock.now();
    this.#survey.look(request, now, none);
    this.#survey.keepPermits();
    const { meters } = this.#survey;
    return new HeldGrant('', 0, 0, 0, meters, this.#survey.take(now), this.#giveBack);
  }

  /** Blocks the key that a request has in a limit: twice as long each time it is blocked again soon. Returns the ms. */
  block(name: string, request: LimitRequest, ms: number): number {
    if (!(ms > 0 && ms < Number.POSITIVE_INFINITY)) {
      throw new RateLimitError('bad_request', `a key cannot be blocked for ${ms} ms`);
    }
    const meter = this.#meterOf(name);
    const blockedMs = this.#blocks.block(meter, meter.keyOf(request), ms, this.#clock.now());
    // Who waits for it holds nothing of what others share any more.
    this.#line.changed();
    this.#tell?.({
      kind: 'blocked',
      limit: name,
      forMs: blockedMs,
      request: plainRequest(request),
    });
    return blockedMs;
  }

  /** Makes the key that a request has in a limit as if it had never been used, nor blocked. */
  reset(name: string, request: LimitRequest): void {
    const meter = this.#meterOf(name);
    this.#key.readRequest(request, meter.bits);
    meter.reset(this.#key);
    this.#blocks.unblock(meter, meter.keyOf(request));
    this.#line.changed(meter, meter.keyOf(request));
  }

  /**
   * Puts other limits in the place of these, while they are in use. A limit of the same name, kind, scope and period inherits what was
   * used of its keys, in tokens: they come back at the new rate from now on, and a key that has used more than the new burst waits
   * until it has not. Any other starts as new. Who waits goes on waiting, by the new limits.
   *
   * @throws RateLimitError `bad_limit`, `duplicate_limit`; nothing has changed then
   */
  setLimits(limits: readonly Limit[]): void {
    checkLimits(limits);
    const now = this.#clock.now();
    const old = new Map(this.#limits.map((limit, place) => [shapeOf(limit), this.#meters[place]!]));
    // Whatever may throw does so before anything has changed.
    const made = limits.map(
      (limit) => old.get(shapeOf(limit)) ?? meterOf(limit, this.#clock, this.#order),
    );
    for (const [place, limit] of limits.entries()) made[place]!.change(limit, now);
    this.#meters = made;
    this.#limits = [...limits];
    this.#blocks.keepOnly(made);
    this.#survey = new Survey(made, this.#key, this.#order);
    const before = this.#line;
    this.#line = new Line(this.#survey, this.#clock, this.#blocks);
    this.#all = [this.#blocks, this.#line];
    this.#line.takeOver(before);
    this.#tell?.({ kind: 'limits', limits: limits.map(({ name }) => name) });
  }

  /** Those in force: another array when `setLimits` has put others in their place. */
  get limits(): readonly Limit[] {
    return this.#limits;
  }

  counters(): LimitCounters[] {
    return this.#meters.map(({ name, allowed, refused, shadowRefused, keys }) => ({
      limit: name,
      allowed,
      refused,
      shadowRefused,
      keys,
    }));
  }

  /** What is used of the key that a request has in a limit, and the ms until nothing is, if nobody uses it meanwhile. */
  usedBy(name: string, request: LimitRequest): { readonly used: number; readonly resetMs: number } {
    const now = this.#clock.now();
    const meter = this.#lookAt(name, request, now);
    const used = Math.max(0, meter.max - meter.left);
    return { used, resetMs: meter.msFor(used, now) };
  }

  /** Has no less be used of the key that a request has in a limit than was at a time, in ms since 1970; as in `restore`. */
  restoreKey(name: string, request: LimitRequest, used: number, wallMs: number): void {
    const now = this.#clock.now();
    const meter = this.#lookAt(name, request, now);
    if (meter.max - meter.left >= used) return;
    meter.restore(this.#key, used, now, Math.max(0, this.#clock.wall() - wallMs));
    this.#line.changed();
  }

  #lookAt(name: string, request: LimitRequest, now: number): Meter {
    const meter = this.#meterOf(name);
    this.#key.readRequest(request, meter.bits);
    meter.look(this.#key, 0, now);
    return meter;
  }

  /** What is in flight by each concurrency limit: its keys and how many permits they have. */
  permits(): { readonly limit: string; readonly held: readonly (readonly [string, number])[] }[] {
    return this.#meters.flatMap((meter) =>
      meter instanceof ConcurrencyMeter ? [{ limit: meter.name, held: [...meter.held()] }] : [],
    );
  }

  /** What has been used of every key, as plain data; permits and blocks are not in it. */
  snapshot(): Snapshot {
    return takeSnapshot(this.#limits, this.#meters, this.#clock);
  }

  /**
   * Goes on from a snapshot, taking for passed what the wall clock says has passed: nothing, if it went back. Keys of limits that are
   * not the same any more are left out.
   *
   * @throws RateLimitError `bad_snapshot`
   */
  restore(snapshot: Snapshot): void {
    readSnapshot(snapshot, this.#limits, this.#meters, this.#key, this.#clock);
    this.#line.changed();
  }

  /** What is known of an id, or a refusal when there is no room for a new one. */
  #known(id: string, print: string): Grant | Reserved | undefined {
    const now = this.#clock.now();
    const known = this.#ids.find(id, print, now);
    if (known !== undefined) return known;
    const fullForMs = this.#ids.fullForMs(now);
    return fullForMs === 0 ? undefined : refusedForIds(fullForMs);
  }

  #takeOnce(request: LimitRequest, id: string): Grant | Refusal {
    const print = printOf('request', request);
    if (this.#ids.waitOf(id, print) !== undefined) {
      // Whoever waits under this id is served first, and once.
      const now = this.#clock.now();
      this.#survey.look(request, now, this.#barriers);
      return this.#refuse(now, 'queue');
    }
    const known = this.#known(id, print);
    if (known !== undefined) return known as Grant | Refusal;
    const answer = this.take(request);
    if (answer.allowed) this.#ids.keep(id, print, answer, answer, this.#clock.now());
    return answer;
  }

  /** Whoever asks again while the first still waits has its answer, if that is let in; else it waits itself from then on. */
  async #waitOnce(
    request: LimitRequest,
    id: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Grant | Refusal> {
    const print = printOf('request', request);
    const deadline = this.#clock.now() + timeoutMs;
    let before = this.#ids.waitOf(id, print);
    while (before !== undefined) {
      if (!(await this.#endsInTime(before, deadline, signal)))
        return this.#refuseLate(request, this.#clock.now());
      before = this.#ids.waitOf(id, print);
    }
    const known = this.#known(id, print);
    if (known !== undefined) return known as Grant | Refusal;
    const left = timeoutMs === Number.POSITIVE_INFINITY ? timeoutMs : deadline - this.#clock.now();
    const waiting = this.wait(request, { signal, timeoutMs: Math.max(0, left) }).then((answer) => {
      if (answer.allowed) this.#ids.keep(id, print, answer, answer, this.#clock.now());
      return answer;
    });
    const ended = waiting.catch(() => {}).then(() => this.#ids.waitsNoMore(id));
    this.#ids.waits(id, print, ended);
    return await waiting;
  }

  /** Whether another's wait ends before a time; rejects when the signal is aborted first. */
  #endsInTime(
    ended: Promise<unknown>,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        stop?.();
        deaf();
      };
      const deaf = onAbort(signal, () => {
        leave();
        reject(signal?.reason);
      });
      const end = (inTime: boolean): void => {
        leave();
        resolve(inTime);
      };
      const ms = deadline - this.#clock.now();
      const stop =
        ms === Number.POSITIVE_INFINITY
          ? undefined
          : this.#clock.wake(Math.max(0, ms), () => end(false));
      void ended.then(() => end(true));
    });
  }

  #waitInLine(
    request: LimitRequest,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Grant | Refusal> {
    return new Promise((resolve, reject) => {
      const end = onAbort(signal, () => {
        reject(signal?.reason);
        this.#line.remove(waiter);
      });
      const waiter = new Waiter(request, this.#clock.now() + timeoutMs, {
        serve: (now) => {
          end();
          resolve(this.#grant(now));
        },
        refuse: (now) => {
          end();
          resolve(this.#refuse(now));
        },
        late: (now) => {
          end();
          resolve(this.#refuseLate(request, now));
        },
        fail: (error) => {
          end();
          reject(error);
        },
      });
      this.#line.add(waiter);
    });
  }

  /** Only what is in use, so that a decision costs no more than it must. */
  get #barriers(): readonly Barrier[] {
    return this.#line.length === 0 && this.#blocks.count === 0 ? none : this.#all;
  }

  #meterOf(name: string): Meter {
    const meter = this.#meters.find((each) => each.name === name);
    if (meter !== undefined) return meter;
    const names = this.#meters.map((each) => each.name).join(', ');
    throw new RateLimitError(
      'unknown_limit',
      `there is no limit ${JSON.stringify(name)}; there is ${names}`,
    );
  }

  #grant(now: number): Grant {
    const { by, left, costs, meters, shadowed } = this.#survey;
    const held = this.#survey.take(now);
    if (by === -1) {
      const most = Number.POSITIVE_INFINITY;
      if (shadowed.length > 0) this.#tellOfShadow(shadowed);
      return new HeldGrant('', most, most, 0, meters, held, this.#giveBack);
    }
    const { name, max } = meters[by]!;
    const remaining = left - costs[by]!;
    const resetMs = meters[by]!.msFor(max - remaining, now);
    if (shadowed.length > 0) this.#tellOfShadow(shadowed);
    return new HeldGrant(name, whole(remaining), max, resetMs, meters, held, this.#giveBack);
  }

  /** Says when it may be ready behind those who wait. */
  #refuseLate(request: LimitRequest, now: number): Refusal {
    const retryAfterMs = this.#line.msFor(request, now);
    this.#survey.look(request, now, this.#barriers);
    const refusal = this.#refuse(now, 'deadline');
    return retryAfterMs === 0 ? refusal : { ...refusal, retryAfterMs };
  }

  #refuse(now: number, why?: Reason): Refusal {
    const { by, waitMs, reason, left, shadowed, meters } = this.#survey;
    for (const place of shadowed) meters[place]!.shadowRefused++;
    if (by === -1) return { ...unlimited, allowed: false, reason: why ?? reason };
    const meter = meters[by]!;
    meter.refused++;
    const refusal: Refusal = {
      allowed: false,
      by: meter.name,
      remaining: whole(left),
      limit: meter.max,
      retryAfterMs: waitMs,
      resetMs: meter.msFor(meter.max - left, now),
      reason: why ?? reason,
    };
    if (this.#tell !== undefined) this.#tellOfRefusal(refusal, meter.keys, shadowed);
    return refusal;
  }

  #tellOfRefusal(
    { by: limit, reason, retryAfterMs }: Refusal,
    keys: number,
    shadowed: readonly number[],
  ): void {
    const request = plainRequest(this.#key.request);
    this.#tellOfShadow(shadowed);
    if (reason === 'keys') this.#tell?.({ kind: 'keys', limit, keys });
    this.#tell?.({ kind: 'refused', limit, reason, retryAfterMs, request });
  }

  #tellOfShadow(shadowed: readonly number[]): void {
    if (this.#tell === undefined) return;
    const { meters, waits } = this.#survey;
    const request = plainRequest(this.#key.request);
    // All of it is read before any is told: a listener may ask the limiter something itself.
    const events = shadowed.map((place) => ({
      kind: 'shadow-refused' as const,
      limit: meters[place]!.name,
      reason: meters[place]!.reason,
      retryAfterMs: waits[place]!,
      request,
    }));
    for (const event of events) this.#tell(event);
  }

  /** About what was surveyed last. */
  #answer(now: number): Decision {
    const { by, waitMs, reason, left, meters } = this.#survey;
    if (by === -1) return unlimited;
    const meter = meters[by]!;
    return {
      allowed: waitMs === 0,
      by: meter.name,
      remaining: whole(left),
      limit: meter.max,
      retryAfterMs: waitMs,
      resetMs: meter.msFor(meter.max - left, now),
      reason: waitMs === 0 ? undefined : reason,
    };
  }

  readonly #giveBack = (taken: Taken, permits: boolean): void => {
    const { meters, held } = taken;
    if (!permits) this.#ids.drop(taken);
    const now = this.#clock.now();
    for (let place = 0, at = 0; place < meters.length; place++, at += heldStride) {
      const row = held[at]!;
      const age = held[at + 1]!;
      const meter = meters[place]!;
      if (row < 0 || meter.isReleased !== permits || meter.ageOf(row) !== age) continue;
      if (permits) this.#ids.drop(taken);
      if (this.#line.length > 0) this.#line.changed(meter, meter.keyOfRow(row));
      meter.giveBack(row, age, held[at + 2]!, held[at + 3]!, now, held.at(-1)!);
    }
  };
}

function whole(left: number): number {
  return Math.max(0, Math.floor(left));
}
