import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RateLimit } from '@gatebook/ratelimit';
import type { GrantRecord } from './grants.js';

/** What the processes take from: one bucket for all, and one for each actor, which is less than its part of what is asked for. */
export const globalLimit = {
  name: 'global',
  rate: { count: 400, perMs: 1_000 },
  burst: 400,
} satisfies RateLimit;
export const actorLimit = {
  name: 'per-actor',
  scope: ['actor'],
  rate: { count: 100, perMs: 1_000 },
  burst: 50,
} satisfies RateLimit;
export const takerLimits: readonly RateLimit[] = [globalLimit, actorLimit];

/** So many tokens of the global bucket all processes may have leased. */
export const overshoot = 80;

export type StoreKind = 'gatebook' | 'leased' | 'naive';

export interface Order {
  readonly store: StoreKind;
  /** Whether they ask again when refused, or wait for their turn. */
  readonly by: 'take' | 'wait';
  readonly host: string;
  readonly port: number;
  readonly place: number;
  readonly processes: number;
  readonly actors: number;
  readonly inFlight: number;
}

export interface Taken extends GrantRecord {
  readonly actor: string;
}

export interface Report {
  readonly taken: readonly Taken[];
  readonly refused: number;
  readonly failed: number;
  readonly slowestMs: number;
}

/** Processes that all take from one server, until they are told to stop. */
export class Takers {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  static async start(
    size: number,
    order: Omit<Order, 'place' | 'processes' | 'actors' | 'inFlight'>,
  ): Promise<Takers> {
    const program = fileURLToPath(new URL('./taker.js', import.meta.url));
    const children = Array.from({ length: size }, (_, place) => {
      // As many wait as are let in within two seconds.
      const inFlight = order.by === 'take' ? 4 : Math.ceil(800 / size);
      const whole: Order = { ...order, place, processes: size, actors: 8, inFlight };
      return fork(program, [JSON.stringify(whole)], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
    });
    await Promise.all(children.map((child) => once(child, 'message')));
    for (const child of children) child.send('go');
    return new Takers(children);
  }

  /** As a laptop that is closed, or a container that is paused. */
  freeze(place: number): void {
    this.#children[place]?.kill('SIGSTOP');
  }

  resume(place: number): void {
    this.#children[place]?.kill('SIGCONT');
  }

  async stop(): Promise<readonly Report[]> {
    return await Promise.all(
      this.#children.map(async (child) => {
        const report = once(child, 'message');
        child.send('stop');
        const [said] = (await report) as [Report];
        return said;
      }),
    );
  }

  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}
