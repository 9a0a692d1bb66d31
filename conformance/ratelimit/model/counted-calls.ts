import { setImmediate as turn } from 'node:timers/promises';
import type { RedisClient } from '../clients.js';

type Call = (...args: unknown[]) => unknown;

/** A client that knows how many of its calls are under way, so that one can wait until all that follows from them is done. */
export class CountedCalls {
  readonly client: RedisClient;
  #underWay = 0;

  constructor(client: RedisClient) {
    this.client = new Proxy(client, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? this.#counted(target, value as Call) : value;
      },
    });
  }

  /** Until nothing is under way, nor comes of what was answered. */
  async settled(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await turn();
      if (this.#underWay > 0) quiet = -1;
    }
  }

  #counted(target: RedisClient, call: Call): Call {
    return (...args) => {
      const answer: unknown = Reflect.apply(call, target, args);
      if (answer instanceof Promise) {
        this.#underWay++;
        const end = (): void => {
          this.#underWay--;
        };
        answer.then(end, end);
      }
      return answer;
    };
  }
}
