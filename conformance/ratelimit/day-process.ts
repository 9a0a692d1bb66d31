import { Limiter, ManualClock } from '@gatebook/ratelimit';
import { type DayLimiter, dayRate, liveADay } from './day.js';

/** Lives a day with a limiter in a process of its own, whose memory nobody else uses: `day-process.js USERS EVERY MAX_KEYS`. */

const [users = 0, every = 0, maxKeys = 0] = process.argv.slice(2).map(Number);

function dayLimiter(): DayLimiter {
  const clock = new ManualClock();
  const { count, perMs, burst } = dayRate;
  const limiter = new Limiter({
    clock,
    limits: [{ name: 'user', scope: ['actor'], rate: { count, perMs }, burst, maxKeys }],
  });
  return {
    setTime: (ms) => clock.advance(ms - clock.now()),
    take: (actor) => limiter.take({ actor }),
    get keys() {
      return limiter.counters()[0]?.keys ?? Number.NaN;
    },
  };
}

if (globalThis.gc === undefined) throw new Error('start it with --expose-gc');
globalThis.gc();
const before = process.memoryUsage().arrayBuffers;
const limiter = dayLimiter();
const report = liveADay(limiter, users, every);
const bytes = process.memoryUsage().arrayBuffers - before;
// What is looked at here is still in use.
if (!(limiter.keys > 0)) throw new Error('no key is left');
console.log(JSON.stringify({ ...report, bytes }));
